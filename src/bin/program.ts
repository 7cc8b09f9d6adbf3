import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { LONGEST } from '../engine/time/Clock';
import { asError } from '../engine/port/errors';
import type { RedisLock } from '../lock/RedisLock';
import { configOf, withRedis } from './connection';
import type { ConnectionOptions } from './connection';
import { doctor } from './doctor';
import type { Finding } from './doctor';
import { ExitCode, exitCodeOf } from './ExitCode';
import { COLUMNS, linesOf, reportOf, rowOf } from './LockReport';
import { release } from './release';
import type { ReleaseOptions } from './release';
import { run } from './run';
import type { RunOptions } from './run';
import { printable, redacted, table } from './text';
import { reportsOf, watch } from './watch';

/** How often `wait` looks, ms. */
const LOOK = 200;

const AFTER = `
Where Redis is, says --uri, or the lock of a container's file (--config), or the environment: REDIS_URI, or
REDIS_SERVICE_HOST and REDIS_SERVICE_PORT, with REDIS_USER and REDIS_PASS. Sentinels, a cluster or a quorum need a file.
Passwords belong into the environment or the file: a command line can be read by others.

Times are in ms, or with a unit: 500ms, 30s, 5m, 2h.

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

interface ReadOptions extends ConnectionOptions {
    readonly json?: boolean;
}

/** Runs the command line. @returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
    let code: number = ExitCode.Done;
    const done = (one: number): void => void (code = one);
    const program = new Command('redis-lock')
        .description(
            'Locks on Redis for the command line: run a command on one host only, see who holds what, free it.',
        )
        .configureOutput({ writeErr: (text) => void process.stderr.write(redacted(text)) })
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
    connected(program.command('run'))
        .description('run a command while holding a lock')
        .usage('<key> [options] -- <command> [args…]')
        .argument('<key>', 'of the lock')
        .argument('<command...>', 'what to run; write -- before it')
        .option('--ttl <time>', 'length of the lease, which is renewed at a third of it (default: 30s)', duration)
        .option('--timeout <time>', 'how long to wait for the lock (default: as long as it takes)', duration)
        .option('--try', 'do not wait: the same as --timeout 0')
        .option('--signal-on-loss <signal>', 'what the command gets when the lock is lost', signalNamed, 'SIGTERM')
        .option('--kill-after <time>', 'how long it may go on after that, until SIGKILL', duration, 5000)
        .option('-E, --conflict-exit-code <code>', 'exit code when the lock was busy', exitCode, ExitCode.No)
        .addHelpText(
            'after',
            `
The command runs with REDIS_LOCK_KEY, REDIS_LOCK_HOLDER and REDIS_LOCK_FENCE in its environment, and without REDIS_PASS
and REDIS_URI. Signals are passed on to it, and to all that it started. It should hand the fence to whatever it writes to:
a number that rises with every grant, by which a write that comes late can be refused.

Example, for the cron tables of two hosts: one of them makes the report.
  0 3 * * *  redis-lock run nightly-report --try -- /usr/local/bin/report`,
        )
        .action(async (key: string, command: string[], options: Partial<RunOptions> & RunFlags) => {
            const timeout = options.try === true ? 0 : (options.timeout ?? Infinity);
            const wanted = { ...(options as RunOptions), timeout };
            done(await withRedis(configOf(options, process.env), (lock) => run(lock, key, command, wanted, say)));
        });
}

interface RunFlags extends ConnectionOptions {
    readonly try?: boolean;
}

function addRelease(program: Command, done: (code: number) => void): void {
    const command = connected(program.command('release'))
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

function addReading(program: Command, done: (code: number) => void): void {
    reading(program.command('status'))
        .description('tell who holds a lock and who waits for it; exit code 1 when it is free')
        .argument('<key>', 'of the lock')
        .action(async (key: string, options: ReadOptions) => {
            await withLock(options, async (lock) => {
                const report = reportOf(await lock.inspect(null, key));
                print(options.json === true ? [JSON.stringify(report)] : linesOf(report));
                done(report.held ? ExitCode.Done : ExitCode.No);
            });
        });
    reading(program.command('list'))
        .description('list the locks that are held; --json: one object a line')
        .argument('[pattern]', 'of their keys: * stands for any characters, ? for one', '*')
        .action(async (pattern: string, options: ReadOptions) => {
            await withLock(options, async (lock) => {
                const reports = await reportsOf(lock, pattern);
                if (options.json === true) print(reports.map((report) => JSON.stringify(report)));
                else if (reports.length > 0) print(table([COLUMNS, ...reports.map(rowOf)]));
            });
        });
    reading(program.command('watch'))
        .description('show the locks that are held until Ctrl-C; a line for each change where there is no terminal')
        .argument('[pattern]', 'of their keys', '*')
        .option('--interval <time>', 'how often to look', duration, 1000)
        .action(async (pattern: string, options: ReadOptions & { readonly interval: number }) => {
            const stop = stopped();
            await withLock(options, async (lock) => {
                // Some terminals do not know how high they are.
                const rows = process.stdout.isTTY ? process.stdout.rows || 24 : undefined;
                const how = { interval: options.interval, json: options.json === true, rows };
                await watch(lock, pattern, how, (text) => void process.stdout.write(text), stop);
            });
        });
    reading(program.command('wait'))
        .description('wait until nobody holds a lock, without taking it; exit code 1 when it is still held')
        .argument('<key>', 'of the lock')
        .option('--timeout <time>', 'how long (default: as long as it takes)', duration)
        .action(async (key: string, options: ReadOptions & { readonly timeout?: number }) => {
            const stop = stopped(options.timeout);
            await withLock(options, async (lock) => {
                let report = reportOf(await lock.inspect(null, key));
                while (report.held && !stop.aborted) {
                    await sleep(LOOK, undefined, { signal: stop }).catch(() => undefined);
                    report = reportOf(await lock.inspect(null, key));
                }
                print(options.json === true ? [JSON.stringify(report)] : linesOf(report));
                done(report.held ? ExitCode.No : ExitCode.Done);
            });
        });
    reading(program.command('doctor'))
        .description('look for what is wrong with the servers; exit code 1 when something is')
        .argument('[key]', 'one that the user may lock', 'doctor:redis-lock')
        .action(async (key: string, options: ReadOptions) => {
            for await (const finding of doctor(configOf(options, process.env), key)) {
                print(options.json === true ? [JSON.stringify(finding)] : told(finding));
                if (finding.state === 'error') done(ExitCode.No);
            }
        });
}

function connected(command: Command): Command {
    return command
        .addOption(
            new Option('--uri <uri>', 'redis://user:password@host:port/db, rediss://… for TLS').conflicts('config'),
        )
        .option('-c, --config <file>', "a container's YAML file, which has a pip-services:lock:redis component");
}

function reading(command: Command): Command {
    return connected(command).option('--json', 'for programs');
}

function withLock(options: ConnectionOptions, work: (lock: RedisLock) => Promise<void>): Promise<void> {
    return withRedis(configOf(options, process.env), work);
}

/** Aborts on Ctrl-C, and after `within`. */
function stopped(within?: number): AbortSignal {
    const controller = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => controller.abort());
    // Redis keeps the process alive for as long as that takes.
    if (within !== undefined) setTimeout(() => controller.abort(), within).unref();
    return controller.signal;
}

function told({ advice, check, server, state, text }: Finding): string[] {
    const sign = { ok: 'ok     ', warning: 'warning', error: 'ERROR  ' }[state];
    const line = `${sign}  ${server === '' ? '' : `${server}  `}${check}: ${text}`;
    return [line, ...(advice === undefined ? [] : [`         ${advice}`])].map(printable);
}

function print(lines: readonly string[]): void {
    for (const line of lines) process.stdout.write(`${line}\n`);
}

function say(text: string): void {
    process.stderr.write(`redis-lock: ${redacted(text)}\n`);
}

const UNITS: Readonly<Record<string, number>> = { '': 1, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

function duration(text: string): number {
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
    const time = Math.round(Number(number) * (UNITS[unit] ?? NaN));
    if (time <= LONGEST) return time;
    throw new InvalidArgumentError('A time looks like 500ms, 30s, 5m or 2h; without a unit it is in ms.');
}

function signalNamed(text: string): string {
    const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
    if (name in constants.signals) return name;
    throw new InvalidArgumentError('It is the name of a signal: TERM, INT, HUP ….');
}

function exitCode(text: string): number {
    if (/^\d{1,3}$/.test(text) && Number(text) < 256) return Number(text);
    throw new InvalidArgumentError('An exit code is a number from 0 to 255.');
}
