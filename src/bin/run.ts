import { codeOf } from '../engine/port/errors';
import type { Lease } from '../engine/lease/Lease';
import type { RedisLock } from '../lock/RedisLock';
import { ExitCode } from './ExitCode';
import { GuardedCommand } from './GuardedCommand';
import type { GuardOptions } from './GuardedCommand';
import { exitCodeOfSignal } from './ProcessGroup';
import { SignalRelay } from './SignalRelay';
import { tellOfWait } from './tellOfWait';

export interface RunOptions extends GuardOptions {
    readonly ttl?: number;
    /** How long to wait for the lock. */
    readonly timeout: number;
    readonly shared?: boolean;
    readonly limit?: number;
    readonly permits?: number;
    readonly atLeast?: number;
    readonly conflictExitCode: number;
    /** Tell who has the lock while it is waited for. */
    readonly verbose: boolean;
}

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
    const relay = new SignalRelay((signal) => stop.abort(signal));
    try {
        const lease = await acquire(lock, key, options, stop.signal, say);
        if (typeof lease === 'number') return lease;
        const running = new GuardedCommand(command, lease, options, say);
        relay.receiver = (signal) => running.send(signal);
        return await ended(running, lease, say);
    } finally {
        relay.stop();
    }
}

/** @returns the exit code when there is no lease. */
async function acquire(
    lock: RedisLock,
    key: string,
    { conflictExitCode, shared, timeout, verbose, ...options }: RunOptions,
    signal: AbortSignal,
    say: (text: string) => void,
): Promise<Lease | number> {
    const over = new AbortController();
    // It never rejects, and ends with the wait.
    if (verbose && timeout > 0) void tellOfWait(lock, key, say, over.signal);
    const stopped = (): number => exitCodeOfSignal(signal.reason as NodeJS.Signals);
    try {
        const { atLeast, limit, permits, ttl } = options;
        const mode = shared === true ? 'shared' : undefined;
        const lease = await lock.acquire(null, key, { atLeast, limit, mode, permits, signal, timeout, ttl });
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

/** Waits for the command, and gives the lock back. */
async function ended(running: GuardedCommand, lease: Lease, say: (text: string) => void): Promise<number> {
    const code = await running.ended;
    if (code === undefined) return ExitCode.Lost;
    try {
        if (await lease.release()) return code;
    } catch (error) {
        say(`the lock on ${lease.key} could not be released, it runs out by itself: ${String(error)}`);
        return code;
    }
    say(`the lock on ${lease.key} had been lost when the command ended`);
    return ExitCode.Lost;
}
