import { systemClock } from '../engine/time/Clock';
import type { Clock, Timer } from '../engine/time/Clock';
import { inMicrotask } from '../engine/time/hostTime';
import { LockModel } from './LockModel';
import type { Message } from './LockModel';

type Hear = (key: string, message: Message) => void;

interface Watch {
    readonly key: string;
    readonly changed: (key: string) => void;
    timer: Timer | undefined;
}

/**
 * What a Redis server is to the stores that use it, in memory. Stores that share one exclude each other.
 *
 * Its methods are what another program may do to a key.
 */
export class MemoryServer {
    private readonly _locks = new Map<string, LockModel>();
    private readonly _channels = new Map<string, Hear>();
    private readonly _watches = new Set<Watch>();
    private _clock: LockModel['clock'];

    constructor(
        /** The time of the server and of the stores. */
        readonly clock: Clock = systemClock,
    ) {}

    /** The keys that something is known of. */
    get keys(): readonly string[] {
        return [...this._locks.keys()];
    }

    /** What the key holds; undefined: it is absent. */
    get(key: string): string | undefined {
        return this.step(key, (lock) => {
            lock.inspect();
            return lock.key?.value;
        });
    }

    /** Another program writes the key, with an expiry in ms unless that is Infinity. */
    set(key: string, value: string, ttl = Infinity): void {
        this.step(key, (lock) => {
            lock.key = { value, expires: Math.floor(lock.now) + ttl };
        });
    }

    /** Another program deletes the key. */
    delete(key: string): void {
        this.step(key, (lock) => {
            lock.key = undefined;
        });
    }

    /** Loses all that it has, as by FLUSHALL. */
    flush(): void {
        for (const key of this.keys) this.delete(key);
        this._locks.clear();
        this._clock = undefined;
    }

    /** One atomic step on a lock. What it publishes is delivered soon after. @internal */
    step<Answer>(key: string, perform: (lock: LockModel) => Answer): Answer {
        const lock = this._locks.get(key) ?? new LockModel();
        lock.time = Math.floor(this.clock.now() * 1000);
        lock.now = lock.time / 1000;
        lock.clock = this._clock;
        lock.channels = this._channels;
        lock.published = [];
        const before = lock.key;
        const answer = perform(lock);
        this._clock = lock.clock;
        if (lock.key !== undefined || lock.queue.value.length > 0 || lock.freeUntil > lock.now)
            this._locks.set(key, lock);
        else this._locks.delete(key);
        for (const { channel, message } of lock.published) this._deliver(channel, key, message);
        if (before !== lock.key) this._changed(key);
        return answer;
    }

    /** Messages to a channel reach this one from now on; undefined: nobody. @internal */
    listen(channel: string, hear: Hear | undefined): void {
        if (hear === undefined) this._channels.delete(channel);
        else this._channels.set(channel, hear);
    }

    /** Tells once that a key does not hold this value any more. Returns what ends the watch. @internal */
    watch(key: string, value: string, changed: (key: string) => void): () => void {
        const watch: Watch = { key, changed, timer: undefined };
        this._watches.add(watch);
        if (this.get(key) === value) this._awaitExpiry(watch);
        else this._changed(key);
        return () => this._unwatch(watch);
    }

    private _deliver(channel: string, key: string, message: Message): void {
        inMicrotask(() => this._channels.get(channel)?.(key, message));
    }

    private _awaitExpiry(watch: Watch): void {
        const { remaining } = this.step(watch.key, (lock) => lock.inspect());
        if (remaining < 0) return;
        watch.timer = this.clock.timer(remaining + 1, () => {
            if (this.get(watch.key) !== undefined && this._watches.has(watch)) this._awaitExpiry(watch);
        });
        watch.timer.keepsAlive(false);
    }

    private _changed(key: string): void {
        for (const watch of [...this._watches].filter((one) => one.key === key)) {
            this._unwatch(watch);
            inMicrotask(() => watch.changed(key));
        }
    }

    private _unwatch(watch: Watch): void {
        watch.timer?.cancel();
        this._watches.delete(watch);
    }
}
