import { setTimeout as delay } from 'node:timers/promises';
import { Descriptor } from 'pip-services4-components-node';
import type {
    ConfigParams,
    IConfigurable,
    IOpenable,
    IReferenceable,
    IReferences,
} from 'pip-services4-components-node';
import type { Lease, LockContext, RedisLock } from '../../../src';
import type { PrometheusCounters } from './PrometheusCounters';

/** Runs a job again and again, on one host at a time: the others wait in line, to take over. */
export class JobRunner implements IConfigurable, IReferenceable, IOpenable {
    private _key = 'jobs';
    private _interval = 1000;
    private _lock: RedisLock | undefined;
    private _counters: PrometheusCounters | undefined;
    private _stop = new AbortController();
    private _running: Promise<void> | undefined;

    configure(config: ConfigParams): void {
        this._key = config.getAsStringWithDefault('options.key', this._key);
        this._interval = config.getAsIntegerWithDefault('options.interval', this._interval);
    }

    setReferences(references: IReferences): void {
        this._lock = references.getOneRequired<RedisLock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
        const counters = new Descriptor('*', 'counters', 'prometheus', '*', '1.0');
        this._counters = references.getOneRequired<PrometheusCounters>(counters);
    }

    isOpen(): boolean {
        return this._running !== undefined;
    }

    open(context: LockContext): Promise<void> {
        this._stop = new AbortController();
        this._running = this._run(context);
        return Promise.resolve();
    }

    /** Lets the job that runs come to its end, and leaves the line. */
    async close(): Promise<void> {
        this._stop.abort();
        await this._running;
        this._running = undefined;
    }

    private async _run(context: LockContext): Promise<void> {
        const stop = this._stop.signal;
        const lock = this._lock;
        // The runner is opened before its lock, because it is closed before it: its first use opens the lock.
        while (!stop.aborted && lock !== undefined) {
            try {
                await lock.withLock(context, this._key, { timeout: Infinity, signal: stop }, (lease) =>
                    this._lead(lease),
                );
            } catch (error) {
                // The lock was lost, or Redis is away. The lock has told the logger.
                if (!stop.aborted) this._counters?.incrementOne('job_runner.interrupted');
                await delay(this._interval, undefined, { signal: stop }).catch(() => error);
            }
        }
    }

    /** For as long as this host has the lock. */
    private async _lead(lease: Lease): Promise<void> {
        const stop = AbortSignal.any([this._stop.signal, lease.signal]);
        while (!stop.aborted) {
            await this._job(lease.fence);
            await delay(this._interval, undefined, { signal: stop }).catch(() => undefined);
        }
    }

    /** Stands for the work. It hands the fence to whatever it writes to. */
    private async _job(fence: number): Promise<void> {
        const timing = this._counters?.beginTiming('job_runner.job');
        await delay(10);
        this._counters?.last('job_runner.fence', fence);
        timing?.endTiming();
    }
}
