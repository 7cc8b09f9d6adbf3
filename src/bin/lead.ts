import type { RedisLock } from '../lock/RedisLock';
import { ExitCode } from './ExitCode';
import { GuardedCommand } from './GuardedCommand';
import type { GuardOptions } from './GuardedCommand';
import { exitCodeOfSignal } from './ProcessGroup';
import { SignalRelay } from './SignalRelay';
import { tellOfWait } from './tellOfWait';

export interface LeadOptions extends GuardOptions {
    readonly ttl?: number;
    /** Tell who leads while this process waits, and when it leads itself. */
    readonly verbose: boolean;
}

/** After these the command is not started again. Others may mean something else to it. */
const STOPPING: ReadonlySet<string> = new Set<NodeJS.Signals>(['SIGINT', 'SIGTERM', 'SIGQUIT']);

/**
 * Runs a command while leading; again in each term, until it ends by itself.
 *
 * @param say tells the user something.
 * @returns its exit code.
 */
export async function lead(
    lock: RedisLock,
    key: string,
    command: readonly string[],
    options: LeadOptions,
    say: (text: string) => void,
): Promise<number> {
    const { ttl, verbose } = options;
    const stop = new AbortController();
    const wait = (): AbortController => {
        relay.receiver = (signal) => stop.abort(signal);
        const waiting = new AbortController();
        // It never rejects, and ends with the wait.
        if (verbose) void tellOfWait(lock, key, say, waiting.signal);
        return waiting;
    };
    const relay = new SignalRelay(() => undefined);
    let waiting = wait();
    try {
        return await lock.lead(null, key, { signal: stop.signal, ttl }, async (lease) => {
            waiting.abort();
            if (verbose) say(`leads ${key} with fence ${lease.fence}`);
            const running = new GuardedCommand(command, lease, options, say);
            let stopped: NodeJS.Signals | undefined;
            relay.receiver = (signal) => {
                if (STOPPING.has(signal)) stopped = signal;
                running.send(signal);
            };
            const code = await running.ended;
            if (code !== undefined) return code;
            waiting = wait();
            if (stopped !== undefined) stop.abort(stopped);
            return ExitCode.Lost;
        });
    } catch (error) {
        if (stop.signal.aborted) return exitCodeOfSignal(stop.signal.reason as NodeJS.Signals);
        throw error;
    } finally {
        waiting.abort();
        relay.stop();
    }
}
