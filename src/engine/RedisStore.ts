import type { Redis } from 'ioredis';
import { SystemClock } from './Clock';
import type { Clock } from './Clock';
import { LockError } from './errors';
import { newHolder } from './holder';
import { KeyWatch } from './KeyWatch';
import type {
    AcquireAnswer,
    AcquireRequest,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    RenewAnswer,
    StoreListener,
} from './LockStore';
import { RedisConnection } from './RedisConnection';
import type { RedisConnectionOptions } from './RedisConnection';
import { explain } from './replies';
import { acquireScript } from './scripts/acquire';
import { parseMessage } from './scripts/grant';
import { inspectScript } from './scripts/inspect';
import { releaseScript } from './scripts/release';
import { renewScript } from './scripts/renew';
import { ScriptError } from './scripts/Script';
import type { Script, ScriptItem } from './scripts/Script';
import { keysOf } from './slots';
import { deadlineOf } from './validity';

export interface RedisStoreOptions extends RedisConnectionOptions {
    /** Put before every key. */
    readonly keyPrefix: string;
    /** After so many hand-offs in a row a key is left free for `pause` ms, for those who poll; undefined: never. */
    readonly yielding?: { readonly after: number; readonly pause: number } | undefined;
}

/** From so many steps of one kind in a turn on, lists are faster than single calls; and how long a list may get. */
const LIST_FROM = 16;
const LIST_LENGTH = 32;

interface Step<Answer> extends ScriptItem {
    readonly key: string;
    readonly resolve: (done: { readonly answer: Answer; readonly sentAt: number }) => void;
    readonly reject: (error: Error) => void;
}

/** The steps of one kind that were asked for in this turn of the event loop. */
interface Lane<Answer> {
    readonly script: Script<Answer>;
    steps: Step<Answer>[];
}

/** Locks on one Redis server. What the steps do is said in `scripts/`. */
export class RedisStore implements LockStore {
    private readonly _connection: RedisConnection;
    private readonly _watch: KeyWatch;
    private readonly _prefix: string;
    private readonly _yield: string;
    private readonly _release = lane(releaseScript);
    private readonly _renew = lane(renewScript);
    private readonly _acquire = lane(acquireScript);
    private readonly _inspect = lane(inspectScript);
    private _flushing = false;
    private _listener: StoreListener | undefined;

    /** @param client an ioredis client made with `lazyConnect`, not yet connected; it is closed with the store. */
    constructor(client: Redis, options: RedisStoreOptions, clock: Clock = new SystemClock()) {
        this._connection = new RedisConnection(client, `redis-lock:${newHolder()}`, options, clock);
        this._watch = new KeyWatch(this._connection, (key) => this._changed(key));
        this._prefix = options.keyPrefix;
        this._yield = options.yielding === undefined ? '' : `${options.yielding.after} ${options.yielding.pause}`;
    }

    get wakes(): boolean {
        return this._connection.wakes;
    }

    async open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        await this._connection.open({
            message: (text) => this._heard(text),
            reconnected: () => {
                void this._watch.reset();
                listener.reconnected();
            },
            disconnected: (error) => listener.disconnected(error),
            warned: (message) => listener.warned(message),
        });
    }

    async close(): Promise<void> {
        await Promise.all([this._watch.reset(), this._connection.close()]);
    }

    async acquire(request: AcquireRequest): Promise<AcquireAnswer> {
        const { key, holder, id, ttl, ticket } = request;
        const wait = ticket === undefined ? '' : `${ticket} ${this.wakes ? this._connection.channel : ''}`;
        const keys = keysOf(this._prefix + key);
        const { answer, sentAt } = await this._step(
            this._acquire,
            { keys, args: [holder, id, String(ttl), wait] },
            key,
        );
        switch (answer.kind) {
            case 'granted':
                return { kind: 'granted', fence: answer.fence, deadline: deadlineOf(sentAt, ttl) };
            case 'busy': {
                const { handedOn, ...busy } = answer;
                if (handedOn) this._listener?.handedOn(key, busy.remaining);
                return { ...busy, sentAt, remaining: busy.remaining < 0 ? Infinity : busy.remaining };
            }
            case 'refused':
                throw new LockError('LOCK_ABORTED', `The acquisition of ${key} was given up before.`, { key, holder });
        }
    }

    async renew(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const [lock, , , memory] = keysOf(this._prefix + key);
        const item = { keys: [lock, memory], args: [holder, String(ttl)] };
        const { answer, sentAt } = await this._step(this._renew, item, key);
        return answer === 'gone' ? { kind: 'gone' } : { kind: 'renewed', deadline: deadlineOf(sentAt, ttl) };
    }

    release(key: string, holder: string): Promise<ReleaseAnswer> {
        return this._give(key, holder, '', '');
    }

    giveUp(key: string, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer> {
        return this._give(key, holder, id, underWay ? '1' : '');
    }

    async handOn(key: string): Promise<void> {
        await this._give(key, '', '', '');
    }

    async inspect(key: string): Promise<LockInfo> {
        const { answer } = await this._step(this._inspect, { keys: keysOf(this._prefix + key), args: [] }, key);
        const held = answer.holder !== undefined;
        return {
            key,
            holder: answer.holder,
            remaining: answer.remaining === -1 ? Infinity : Math.max(answer.remaining, 0),
            fence: held && !answer.foreign ? answer.fence : undefined,
            waiters: answer.waiters,
        };
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._watch.watch(this._prefix + key, holder);
    }

    private async _give(key: string, holder: string, id: string, tombstone: string): Promise<ReleaseAnswer> {
        const args = [holder, id, tombstone, this._yield];
        const { answer } = await this._step(this._release, { keys: keysOf(this._prefix + key), args }, key);
        if (answer.handedOn > 0) this._listener?.handedOn(key, answer.handedOn);
        return answer.kind;
    }

    private _changed(key: string | undefined): void {
        if (key === undefined) this._listener?.reconnected();
        else if (key.startsWith(this._prefix)) this._listener?.changed(key.slice(this._prefix.length));
    }

    private _heard(text: string): void {
        const message = parseMessage(text);
        if (message === undefined || !message.key.startsWith(this._prefix)) return;
        const key = message.key.slice(this._prefix.length);
        if (message.kind === 'grant') this._listener?.granted(key, message.id, message.fence, message.ttl);
        else this._listener?.first(key, message.id, message.taken);
    }

    private _step<Answer>(
        into: Lane<Answer>,
        item: ScriptItem,
        key: string,
    ): Promise<{ readonly answer: Answer; readonly sentAt: number }> {
        return new Promise((resolve, reject) => {
            into.steps.push({ ...item, key, resolve, reject });
            if (this._flushing) return;
            this._flushing = true;
            // The end of the turn: after every callback and every promise that is ready now.
            queueMicrotask(() => process.nextTick(() => this._flush()));
        });
    }

    /** Releases first: they make room for what else was asked for in the same turn. */
    private _flush(): void {
        this._flushing = false;
        this._flushLane(this._release);
        this._flushLane(this._renew);
        this._flushLane(this._acquire);
        this._flushLane(this._inspect);
    }

    private _flushLane<Answer>(from: Lane<Answer>): void {
        const steps = from.steps;
        if (steps.length === 0) return;
        from.steps = [];
        const length = steps.length < LIST_FROM ? 1 : LIST_LENGTH;
        for (let at = 0; at < steps.length; at += length) {
            void this._run(from.script, steps.slice(at, at + length));
        }
    }

    /** Settles every step; never rejects. */
    private async _run<Answer>(script: Script<Answer>, steps: readonly Step<Answer>[]): Promise<void> {
        try {
            let sentAt = 0;
            const answers = await this._connection.send((client, now) => {
                sentAt = now;
                return script.run(client, steps);
            });
            answers.forEach((answer, at) => {
                const step = steps[at];
                if (answer instanceof ScriptError) step?.reject(explain(answer, { key: step.key, unknown: false }));
                else step?.resolve({ answer, sentAt });
            });
        } catch (error) {
            for (const step of steps) step.reject(explain(error, { key: step.key }));
        }
    }
}

function lane<Answer>(script: Script<Answer>): Lane<Answer> {
    return { script, steps: [] };
}
