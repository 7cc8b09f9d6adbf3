import type { Command } from 'commander';
import type { RedisLock } from '../lock/RedisLock';
import { configOf, withConnection, withRedis } from './connection';
import type { ConnectionOptions } from './connection';
import { doctor } from './doctor';
import type { Finding } from './doctor';
import { ExitCode } from './ExitCode';
import { COLUMNS, linesOf, reportOf, rowsOf } from './LockReport';
import type { LockReport } from './LockReport';
import { print, printJson, say } from './output';
import { printable, table } from './text';
import { duration, interval } from './values';
import { wait } from './wait';
import { reportsOf, watch } from './watch';
import type { Size } from './watch';

interface ReadOptions extends ConnectionOptions {
    readonly json?: boolean;
}

/** Adds the commands that change nothing. @param done is told the exit code. */
export function addReading(program: Command, done: (code: number) => void): void {
    addStatus(program, done);
    addList(program);
    addWatch(program);
    addWait(program, done);
    addDoctor(program, done);
}

function addStatus(program: Command, done: (code: number) => void): void {
    reading(program.command('status'))
        .description('tell who holds a lock and who waits for it; exit code 1 when it is free')
        .argument('<key>', 'of the lock')
        .action(async (key: string, options: ReadOptions) => {
            await withLock(options, async (lock) => {
                const report = reportOf(await lock.inspect(null, key));
                tell(report, options);
                done(report.holder === null ? ExitCode.No : ExitCode.Done);
            });
        });
}

function addList(program: Command): void {
    reading(program.command('list'))
        .description('list the locks that are held; --json: one object a line')
        .argument('[pattern]', 'of their keys: * stands for any characters, ? for one', '*')
        .action(async (pattern: string, options: ReadOptions) => {
            await withLock(options, async (lock) => {
                const reports = await reportsOf(lock, pattern);
                if (options.json === true) reports.forEach(printJson);
                else if (reports.length > 0)
                    print(table([COLUMNS, ...reports.flatMap(rowsOf).map((row) => row.map(printable))]));
                // What reads the output finds it empty.
                else if (process.stdout.isTTY) print([`no lock is held whose key is like ${pattern}`]);
            });
        });
}

function addWatch(program: Command): void {
    reading(program.command('watch'))
        .description('show the locks that are held until Ctrl-C; a line for each change where there is no terminal')
        .argument('[pattern]', 'of their keys', '*')
        .option('--interval <time>', 'how often to look, 100ms at least (default: 1s)', interval)
        .action(async (pattern: string, options: ReadOptions & { readonly interval?: number }) => {
            const stop = stopped();
            await withLock(options, async (lock) => {
                const size = process.stdout.isTTY ? sizeOfTerminal : undefined;
                const how = { interval: options.interval ?? 1000, json: options.json === true, size };
                await watch(lock, pattern, how, (text) => void process.stdout.write(text), stop);
            });
        });
}

function addWait(program: Command, done: (code: number) => void): void {
    reading(program.command('wait'))
        .description('wait until nobody holds a lock, without taking it; exit code 1 when it is still held')
        .argument('<key>', 'of the lock')
        .option('--timeout <time>', 'how long (default: as long as it takes)', duration)
        .action(async (key: string, options: ReadOptions & { readonly timeout?: number }) => {
            const stop = stopped(options.timeout);
            await withLock(options, async (lock) => {
                const report = await wait(lock, key, say, stop);
                tell(report, options);
                done(report.holder === null ? ExitCode.Done : ExitCode.No);
            });
        });
}

function addDoctor(program: Command, done: (code: number) => void): void {
    reading(program.command('doctor'))
        .description('look for what is wrong with the servers; exit code 1 when something is')
        .argument('[key]', 'one that the user may lock', 'redis-lock-doctor')
        .action(async (key: string, options: ReadOptions) => {
            for await (const finding of doctor(configOf(options, process.env), key)) {
                if (options.json === true) printJson(finding);
                else print(told(finding));
                if (finding.state === 'error') done(ExitCode.No);
            }
        });
}

function reading(command: Command): Command {
    return withConnection(command).option('--json', 'for programs');
}

function withLock(options: ConnectionOptions, work: (lock: RedisLock) => Promise<void>): Promise<void> {
    return withRedis(configOf(options, process.env), work);
}

function tell(report: LockReport, { json }: ReadOptions): void {
    if (json === true) printJson(report);
    else print(linesOf(report));
}

/** Some terminals do not know how large they are. */
function sizeOfTerminal(): Size {
    return { rows: process.stdout.rows || 24, columns: process.stdout.columns || 80 };
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
    return [line, ...(advice === undefined ? [] : [`         ${advice}`])];
}
