import { setTimeout as delay } from 'node:timers/promises';
import { Descriptor, Factory } from 'pip-services4-components-node';
import type {
    ConfigParams,
    IConfigurable,
    IOpenable,
    IReferenceable,
    IReferences,
} from 'pip-services4-components-node';
import type { Lease, LockContext, RedisLock } from '../../src';
import { RemoteResource } from './RemoteResource';

/** A component that works on a resource on which only one host may work at a time. */
export class SampleJob implements IConfigurable, IReferenceable, IOpenable {
    private _key = 'sample.job';
    private _ttl = 10_000;
    private _lock: RedisLock | undefined;
    private _stop = new AbortController();
    private _running: Promise<void> | undefined;
    private readonly _resource = new RemoteResource();

    configure(config: ConfigParams): void {
        this._key = config.getAsStringWithDefault('options.key', this._key);
        this._ttl = config.getAsIntegerWithDefault('options.ttl', this._ttl);
    }

    setReferences(references: IReferences): void {
        this._lock = references.getOneRequired<RedisLock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
    }

    isOpen(): boolean {
        return this._running !== undefined;
    }

    open(context: LockContext): Promise<void> {
        this._stop = new AbortController();
        this._running = this._run(context);
        return Promise.resolve();
    }

    /** Leaves the resource and the line at once. */
    async close(): Promise<void> {
        this._stop.abort();
        await this._running;
        this._running = undefined;
    }

    private async _run(context: LockContext): Promise<void> {
        const stop = this._stop.signal;
        const lock = this._lock;
        // The job is opened before its lock, because it is closed before it: its first use opens the lock.
        while (!stop.aborted && lock !== undefined) {
            this._resource.say('waits');
            const options = { ttl: this._ttl, timeout: Infinity, signal: stop };
            await lock
                .withLock(context, this._key, options, (lease) => this._work(lease))
                .catch((error: unknown) => {
                    if (!stop.aborted) this._resource.say(String(error));
                });
        }
    }

    private async _work(lease: Lease): Promise<void> {
        await this._resource.enter(lease.fence);
        // Pretends to work; stops when it is told to, and when the lock is lost.
        const stop = AbortSignal.any([this._stop.signal, lease.signal]);
        await delay(200 + 300 * Math.random(), undefined, { signal: stop }).catch(() => undefined);
        await this._resource.leave(lease.fence);
    }
}

/** Makes sample jobs for a container: `sample:job:default:*:1.0`. */
export class SampleJobFactory extends Factory {
    constructor() {
        super();
        this.registerAsType(new Descriptor('sample', 'job', 'default', '*', '1.0'), SampleJob);
    }
}
