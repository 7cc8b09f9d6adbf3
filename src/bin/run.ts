import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Lease } from '../engine/lease/Lease';
import type { RedisLock } from '../lock/RedisLock';
import { SECRETS } from './connection';
import { ExitCode, codeOf } from './ExitCode';
import { tellOfWait } from './tellOfWait';

export interface RunOptions {
    readonly ttl?: number;
    /** How long to wait for the lock. */
    readonly timeout: number;
    readonly signalOnLoss: NodeJS.Signals;
    /** How long the command may go on after that signal. */
    readonly killAfter: number;
    readonly conflictExitCode: number;
    /** Tell who has the lock while it is waited for. */
    readonly verbose: boolean;
}

const FORWARDED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/**
 * Runs a command while holding a lock.
 *
 * @param say tells the user something.
 * @returns its exit code.
 */
export async function run(
    lock: RedisLock,
    key: string,
    command: readonly string[],
    options: RunOptions,
    say: (text: string) => void,
): Promise<number> {
    const stop = new AbortController();
    let pass = (signal: NodeJS.Signals): void => stop.abort(signal);
    const listeners = FORWARDED.map((signal) => [signal, () => pass(signal)] as const);
    for (const [signal, listener] of listeners) process.on(signal, listener);
    // A stopped process could not renew the lock.
    process.on('SIGTSTP', ignore);
    try {
        const lease = await acquire(lock, key, options, stop.signal, say);
        if (typeof lease === 'number') return lease;
        const group = new ProcessGroup(command, environmentOf(lease));
        pass = (signal) => group.send(signal);
        return await guard(lease, group, options, say);
    } finally {
        for (const [signal, listener] of listeners) process.off(signal, listener);
        process.off('SIGTSTP', ignore);
    }
}

/** @returns the exit code when there is no lease. */
async function acquire(
    lock: RedisLock,
    key: string,
    { conflictExitCode, timeout, ttl, verbose }: RunOptions,
    signal: AbortSignal,
    say: (text: string) => void,
): Promise<Lease | number> {
    const over = new AbortController();
    // It never rejects, and ends with the wait.
    if (verbose && timeout > 0) void tellOfWait(lock, key, say, over.signal);
    const stopped = (): number => ExitCode.Signal + numberOf(signal.reason as NodeJS.Signals);
    try {
        const lease = await lock.acquire(null, key, { timeout, signal, ...(ttl === undefined ? {} : { ttl }) });
        if (!signal.aborted) return lease;
        await lease.release();
        return stopped();
    } catch (error) {
        if (signal.aborted) return stopped();
        if (!(error instanceof Error) || codeOf(error) !== 'LOCK_TIMEOUT') throw error;
        say(error.message);
        return conflictExitCode;
    } finally {
        over.abort();
    }
}

/** Waits for the command, and ends it when the lock is lost. */
async function guard(
    lease: Lease,
    group: ProcessGroup,
    { killAfter, signalOnLoss }: RunOptions,
    say: (text: string) => void,
): Promise<number> {
    let killer: NodeJS.Timeout | undefined;
    const lost = (): void => {
        say(`the lock on ${lease.key} was lost; the command gets ${signalOnLoss}`);
        group.send(signalOnLoss);
        killer = setTimeout(() => group.send('SIGKILL'), killAfter);
    };
    lease.signal.addEventListener('abort', lost, { once: true });
    if (lease.signal.aborted) lost();
    const code = await group.ended;
    lease.signal.removeEventListener('abort', lost);
    clearTimeout(killer);
    if (lease.signal.aborted) {
        // Nothing that the command started may go on without the lock.
        group.send('SIGKILL');
        return ExitCode.Lost;
    }
    if (group.error !== undefined) say(group.error);
    try {
        if (await lease.release()) return code;
    } catch (error) {
        say(`the lock on ${lease.key} could not be released, it runs out by itself: ${String(error)}`);
        return code;
    }
    say(`the lock on ${lease.key} had been lost when the command ended`);
    return ExitCode.Lost;
}

function environmentOf({ fence, holder, key }: Lease): NodeJS.ProcessEnv {
    const environment: NodeJS.ProcessEnv = { ...process.env };
    for (const name of SECRETS) delete environment[name];
    return { ...environment, REDIS_LOCK_KEY: key, REDIS_LOCK_HOLDER: holder, REDIS_LOCK_FENCE: String(fence) };
}

/** A command in a process group of its own, so that a signal reaches all that it started, and reaches it once. */
class ProcessGroup {
    /** The exit code, as a shell has it. */
    readonly ended: Promise<number>;
    /** Why there is no command. */
    error: string | undefined;
    private readonly _id: number | undefined;

    constructor([name = '', ...args]: readonly string[], env: NodeJS.ProcessEnv) {
        const child = spawn(name, args, { env, stdio: 'inherit', detached: true });
        this._id = child.pid;
        this.ended = new Promise((resolve) => {
            child.once('error', (error) => {
                this.error = `cannot run ${name}: ${codeOf(error)}`;
                resolve(codeOf(error) === 'ENOENT' ? ExitCode.NotFound : ExitCode.CannotRun);
            });
            child.once('exit', (code, signal) => resolve(code ?? ExitCode.Signal + numberOf(signal)));
        });
    }

    send(signal: NodeJS.Signals): void {
        if (this._id === undefined) return;
        try {
            process.kill(-this._id, signal);
        } catch {
            // It is over already.
        }
    }
}

function numberOf(signal: NodeJS.Signals | null): number {
    return signal === null ? 0 : constants.signals[signal];
}

function ignore(): void {
    // Nothing.
}
