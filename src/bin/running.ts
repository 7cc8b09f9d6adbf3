import { Option } from 'commander';
import type { Command } from 'commander';
import { configOf, withConnection, withRedis } from './connection';
import type { ConnectionOptions } from './connection';
import { ExitCode } from './ExitCode';
import { lead } from './lead';
import type { LeadOptions } from './lead';
import { say } from './output';
import { run } from './run';
import type { RunOptions } from './run';
import { count, duration, exitCode, signalNamed } from './values';

const ABOUT_THE_COMMAND = `
The command runs with REDIS_LOCK_KEY, REDIS_LOCK_HOLDER and REDIS_LOCK_FENCE in its environment, and without REDIS_PASS
and REDIS_URI. The command and all that it starts get the signals that redis-lock gets. The fence is a number that rises with
every grant: hand it to what the command writes to, so that a late write can be refused. A process that the command leaves
running when it ends goes on without the lock.`;

/** Adds the commands that run another one. @param done is told the exit code. */
export function addRunning(program: Command, done: (code: number) => void): void {
    addRun(program, done);
    addLead(program, done);
}

interface RunFlags extends ConnectionOptions {
    readonly try?: boolean;
}

function addRun(program: Command, done: (code: number) => void): void {
    const running = guarding(program.command('run'));
    running
        .description('run a command while holding a lock')
        .option('--timeout <time>', 'how long to wait for the lock (default: as long as it takes)', duration)
        .option('--try', 'do not wait: the same as --timeout 0')
        .addOption(new Option('--shared', 'share the lock with all who want to share it').conflicts('limit'))
        .option('--limit <count>', 'share the lock: how many permits may be out at a time', count)
        .option('--permits <count>', 'how many of them the command takes (default: 1); needs --limit', count)
        .option('--at-least <time>', 'keep the lock for so long, even if the command is faster', duration)
        .option('-v, --verbose', 'say who holds the lock while waiting for it (default: on a terminal)')
        .option('-E, --conflict-exit-code <code>', 'exit code when the lock was busy', exitCode, ExitCode.No)
        .addHelpText(
            'after',
            `${ABOUT_THE_COMMAND}

All who share a lock should give the same --limit. A quorum knows no limits. With --at-least redis-lock does not wait: the lock
frees itself later. It is for cron: hosts whose clocks differ would run a fast command one after the other.

Examples, the first for the cron tables of two hosts. One of them makes the report:
  0 3 * * *  redis-lock run nightly-report --try --at-least 60s -- /usr/local/bin/report
  redis-lock run thumbnails --limit 5 --permits 2 -- node thumbnails.js`,
        )
        .action(async (key: string, command: string[], options: Partial<RunOptions> & RunFlags) => {
            if (options.permits !== undefined && options.limit === undefined)
                running.error('error: --permits needs --limit');
            const timeout = options.try === true ? 0 : (options.timeout ?? Infinity);
            const wanted = { ...(options as RunOptions), timeout, verbose: isVerbose(options) };
            done(await withRedis(configOf(options, process.env), (lock) => run(lock, key, command, wanted, say)));
        });
}

function addLead(program: Command, done: (code: number) => void): void {
    guarding(program.command('lead'))
        .description('run a command on the host that leads, and start it again when this host leads again')
        .option('-v, --verbose', 'say who leads, and when this host does (default: on a terminal)')
        .addHelpText(
            'after',
            `${ABOUT_THE_COMMAND}

redis-lock waits until it leads, and starts the command. When the lock is lost, it ends the command, waits, and starts it
again when it leads again. When the command ends by itself, it gives the lock back, and leaves with the exit code of the
command. After SIGINT, SIGTERM or SIGQUIT it does not start the command again.

Example, started on every host, as a service. One of them runs the scheduler:
  redis-lock lead scheduler -- node scheduler.js`,
        )
        .action(async (key: string, command: string[], options: Partial<LeadOptions> & ConnectionOptions) => {
            const wanted = { ...(options as LeadOptions), verbose: isVerbose(options) };
            done(await withRedis(configOf(options, process.env), (lock) => lead(lock, key, command, wanted, say)));
        });
}

/** A command that runs another one under a lock. */
function guarding(command: Command): Command {
    const killAfter = new Option(
        '--kill-after <time>',
        'how long the command may run after that signal, until SIGKILL',
    );
    return withConnection(command)
        .usage('<key> [options] -- <command> [args…]')
        .argument('<key>', 'of the lock')
        .argument('<command...>', 'command to run, after --')
        .option(
            '--ttl <time>',
            'length of the lease; it is renewed after a third of that (default: 30s, or that of the file)',
            duration,
        )
        .option(
            '--signal-on-loss <signal>',
            'signal that the command gets when the lock is lost',
            signalNamed,
            'SIGTERM',
        )
        .addOption(killAfter.argParser(duration).default(5000, '5s'));
}

function isVerbose({ verbose }: { readonly verbose?: boolean }): boolean {
    return verbose === true || process.stderr.isTTY;
}
