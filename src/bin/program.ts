import { Command, CommanderError } from 'commander';
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
import { addRunning } from './running';
import { printableLines, redacted } from './text';

const AFTER = `
The address of Redis comes from --uri, else from the lock in a container's file (--config), else from the environment:
REDIS_URI, or REDIS_SERVICE_HOST and REDIS_SERVICE_PORT with REDIS_USER and REDIS_PASS. Sentinels, a cluster and a quorum
need a file. Put passwords into the environment or the file: other users of this host can read a command line.

A time needs a unit: 500ms, 30s, 5m, 2h, 1d.

Exit codes:
  0      done
  1      no. run: the lock was busy. status: it is free. wait: it is still held. release: that holder does not have it.
         doctor: something is wrong
  64     the command line is wrong
  69     Redis cannot be reached, or refuses to work
  75     run: the lock was lost, and the command was ended
  78     the configuration is wrong
  126    run, lead: the command cannot be run
  127    run, lead: the command does not exist
  128+n  run, lead: signal n ended the command, or the wait for the lock
  other  run, lead: the exit code of the command

Examples:
  redis-lock run nightly-report --try --at-least 60s -- /usr/local/bin/report --all
  redis-lock lead scheduler -- node scheduler.js
  redis-lock status nightly-report
  redis-lock watch 'nightly-*'
  redis-lock release nightly-report --force --reason 'host 7 is off'
  redis-lock doctor --config report.yml`;

/** Runs the command line. @returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
    let code: number = ExitCode.Done;
    const done = (one: number): void => void (code = one);
    const program = new Command('redis-lock')
        .description('Locks on Redis: run a command on one host at a time, see who holds which lock, free a lock.')
        .configureOutput({ writeErr: (text) => void process.stderr.write(printableLines(redacted(text))) })
        .version(versionOf(), '-V, --version', 'tell the version')
        .exitOverride()
        .showHelpAfterError('(see redis-lock --help)')
        .addHelpText('after', AFTER);
    addRunning(program, done);
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

function addRelease(program: Command, done: (code: number) => void): void {
    const command = withConnection(program.command('release'))
        .description('give a lock back; the first in line gets it')
        .argument('<key>', 'of the lock')
        .option('--holder <id>', 'holder that gives it back, as status shows it')
        .option(
            '--force',
            'take the lock from its holder (with --holder: from that one alone), whose work may still go on',
        )
        .option('-y, --yes', 'do not ask')
        .option('--reason <text>', 'why it is taken, for the log', 'redis-lock release --force');
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
