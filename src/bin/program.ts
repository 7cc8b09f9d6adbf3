import { Command, CommanderError, Option } from 'commander';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asError } from '../engine/port/errors';
import { configOf, withConnection, withRedis } from './connection';
import type { ConnectionOptions } from './connection';
import { ExitCode, exitCodeOf } from './ExitCode';
import { say } from './output';
import { addReading } from './reading';
import { release } from './release';
import type { ReleaseOptions } from './release';
import { run } from './run';
import type { RunOptions } from './run';
import { printableLines, redacted } from './text';
import { duration, exitCode, signalNamed } from './values';

const AFTER = `
Where Redis is, says --uri, or the lock of a container's file (--config), or the environment: REDIS_URI, or
REDIS_SERVICE_HOST and REDIS_SERVICE_PORT, with REDIS_USER and REDIS_PASS. Sentinels, a cluster or a quorum need a file.
Passwords belong into the environment or the file: a command line can be read by others.

A time has a unit: 500ms, 30s, 5m, 2h, 1d.

Exit codes:
  0    done
  1    no: the lock was busy (run), is free (status), is still held (wait), was not that holder's (release),
       something is wrong (doctor)
  64   the command line is wrong
  69   Redis cannot be reached, or refuses
  75   run: the lock was lost, so the command was ended
  78   the configuration is wrong
  126  run: the command cannot be run
  127  run: there is no such command
  128+n  run: signal n ended the command, or the waiting for the lock
  else run: the exit code of the command

Examples:
  redis-lock run nightly-report --try -- /usr/local/bin/report --all
  redis-lock status nightly-report
  redis-lock watch 'nightly-*'
  redis-lock release nightly-report --force --reason 'host 7 is off'
  redis-lock doctor --config config/config.yml`;

/** Runs the command line. @returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
    let code: number = ExitCode.Done;
    const done = (one: number): void => void (code = one);
    const program = new Command('redis-lock')
        .description(
            'Locks on Redis for the command line: run a command on one host only, see who holds what, free it.',
        )
        .configureOutput({ writeErr: (text) => void process.stderr.write(printableLines(redacted(text))) })
        .version(versionOf(), '-V, --version', 'tell the version')
        .exitOverride()
        .showHelpAfterError('(redis-lock --help tells more)')
        .addHelpText('after', AFTER);
    addRun(program, done);
    addRelease(program, done);
    addReading(program, done);
    try {
        await program.parseAsync(args, { from: 'user' });
        return code;
    } catch (error) {
        if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.Done : ExitCode.Usage;
        say(asError(error).message);
        return exitCodeOf(error);
    }
}

function addRun(program: Command, done: (code: number) => void): void {
    withConnection(program.command('run'))
        .description('run a command while holding a lock')
        .usage('<key> [options] -- <command> [args…]')
        .argument('<key>', 'of the lock')
        .argument('<command...>', 'what to run; write -- before it')
        .option('--ttl <time>', 'length of the lease, which is renewed at a third of it (default: 30s)', duration)
        .option('--timeout <time>', 'how long to wait for the lock (default: as long as it takes)', duration)
        .option('--try', 'do not wait: the same as --timeout 0')
        .option('-v, --verbose', 'say for whom it waits (default: on a terminal)')
        .option('--signal-on-loss <signal>', 'what the command gets when the lock is lost', signalNamed, 'SIGTERM')
        .addOption(killAfter())
        .option('-E, --conflict-exit-code <code>', 'exit code when the lock was busy', exitCode, ExitCode.No)
        .addHelpText(
            'after',
            `
The command runs with REDIS_LOCK_KEY, REDIS_LOCK_HOLDER and REDIS_LOCK_FENCE in its environment, and without REDIS_PASS
and REDIS_URI. Signals are passed on to it, and to all that it started. It should hand the fence to whatever it writes to:
a number that rises with every grant, by which a write that comes late can be refused. What it leaves running when it
ends goes on without the lock.

Example, for the cron tables of two hosts: one of them makes the report.
  0 3 * * *  redis-lock run nightly-report --try -- /usr/local/bin/report`,
        )
        .action(async (key: string, command: string[], options: Partial<RunOptions> & RunFlags) => {
            const timeout = options.try === true ? 0 : (options.timeout ?? Infinity);
            const verbose = options.verbose === true || process.stderr.isTTY;
            const wanted = { ...(options as RunOptions), timeout, verbose };
            done(await withRedis(configOf(options, process.env), (lock) => run(lock, key, command, wanted, say)));
        });
}

function killAfter(): Option {
    const text = 'how long it may go on after that, until SIGKILL';
    return new Option('--kill-after <time>', text).argParser(duration).default(5000, '5s');
}

interface RunFlags extends ConnectionOptions {
    readonly try?: boolean;
}

function addRelease(program: Command, done: (code: number) => void): void {
    const command = withConnection(program.command('release'))
        .description('give a lock back; it passes to the next who waits')
        .argument('<key>', 'of the lock')
        .option('--holder <id>', 'in the name of this holder, as status tells it')
        .option('--force', 'take it from whoever has it (or from --holder alone), who may still be at work')
        .option('-y, --yes', 'do not ask')
        .option('--reason <text>', 'why it is taken', 'redis-lock release --force');
    command.action(async (key: string, options: ReleaseOptions & ConnectionOptions) => {
        if (options.force !== true && options.holder === undefined)
            command.error('error: give --holder <id> or --force');
        done(await withRedis(configOf(options, process.env), (lock) => release(lock, key, options, say)));
    });
}

function versionOf(): string {
    const { version } = JSON.parse(readFileSync(join(__dirname, '../../../package.json'), 'utf8')) as {
        version: string;
    };
    return version;
}
