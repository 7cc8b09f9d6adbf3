import { LockError } from '../engine/port/errors';
import { holderOf, nameOf, readHolder } from '../engine/port/holder';
import { byFence, holding, waiterOf } from '../engine/port/LockStore';
import { SHARED } from '../engine/port/protocol';
import type {
    AcquireAnswer,
    GiveUpRequest,
    LockInfo,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../engine/port/LockStore';
import type { ReservedGrant, ReservingRequest } from '../engine/port/ReservingRequest';
import { deadlineOf } from '../engine/port/validity';
import { inMicrotask } from '../engine/time/hostTime';
import type { BusyReply, Message, QueuedRelease } from './LockModel';
import type { MemoryServer } from './MemoryServer';

type RenewRequest = Omit<Renewal, 'answered'>;

let connections = 0;

/** The steps of one process on a server in memory. Each takes effect at once, and fails with a LockError. */
export class MemoryConnection {
    /** Messages are lost on the way to this process. */
    mute = false;
    private readonly _channel: string;
    private readonly _unwatch = new Set<() => void>();
    private _listener: StoreListener | undefined;
    private _closed = false;

    constructor(private readonly _server: MemoryServer) {
        connections += 1;
        this._channel = `process:${connections}`;
    }

    get isClosed(): boolean {
        return this._closed;
    }

    open(listener: StoreListener): void {
        this._listener = listener;
        this._server.listen(this._channel, (key, message) => this._hear(key, message));
    }

    close(): void {
        this._closed = true;
        this._server.listen(this._channel, undefined);
        for (const unwatch of this._unwatch) unwatch();
    }

    /** @param sentAt when it was asked for, from which a lease counts. */
    acquire({ key, id, share, ttl, ticket, spare = 0 }: ReservingRequest, sentAt: number): AcquireAnswer {
        const request = { id, ttl, ticket, spare, share, channel: this._channel };
        const reply = this._server.step(key, (lock) => lock.acquireQueued(request));
        switch (reply.kind) {
            case 'granted': {
                const { fence } = reply;
                const holder = holderOf(id, fence);
                const deadline = deadlineOf(sentAt, ttl);
                const reserved = reply.reserved ? spare : 0;
                const granted: ReservedGrant = { kind: 'granted', holder, fence, deadline, confirmed: true, reserved };
                return granted;
            }
            case 'busy':
                return this._busy(key, reply, sentAt);
            case 'refused': {
                const text = `The acquisition of ${key} was given up before.`;
                throw new LockError('LOCK_ABORTED', text, { key, holder: nameOf(id) });
            }
        }
    }

    renew({ key, holder, shared, ttl }: RenewRequest, sentAt: number): RenewAnswer {
        const request = { holder, ttl };
        const reply = this._server.step(key, (lock) => {
            const alone = shared === true ? 'gone' : lock.renew(request);
            return alone === 'gone' && shared !== false ? lock.renewShared(request) : alone;
        });
        return reply === 'gone' ? { kind: 'gone' } : { kind: 'renewed', deadline: deadlineOf(sentAt, ttl) };
    }

    downgrade({ key, holder, ttl }: RenewRequest, sentAt: number): RenewAnswer {
        const { done, window } = this._server.step(key, (lock) => lock.downgrade({ holder, ttl }));
        if (window > 0) this._handedOn(key, window);
        return done ? { kind: 'renewed', deadline: deadlineOf(sentAt, ttl) } : { kind: 'gone' };
    }

    release({ key, holder, buried, id = '', keptUntil = 0 }: ReleaseRequest): ReleaseAnswer {
        const keep = Math.max(Math.ceil(keptUntil - this._server.clock.now()), 0);
        return this._release(key, { holder, id: buried ?? id, underWay: buried !== undefined, pause: 0, keep });
    }

    giveUp({ key, id, underWay }: GiveUpRequest): ReleaseAnswer {
        return this._release(key, { holder: '', id, underWay, pause: 0, keep: 0 });
    }

    handOn(key: string): void {
        this._release(key, { holder: '', id: '', underWay: false, pause: 0, keep: 0 });
    }

    inspect(key: string): LockInfo {
        const { holder, holders, remaining, now, waiters } = this._server.step(key, (lock) => lock.inspect());
        const left = remaining === -1 ? Infinity : Math.max(remaining, 0);
        const isShared = holder === SHARED;
        const alone = remaining === -2 ? [] : [{ holder, remaining: left, permits: 1, fence: 0 }];
        const described = (isShared ? holders : alone).map((one) => {
            const fence = readHolder(one.holder)?.fence ?? (one.fence > 0 ? one.fence : undefined);
            const held = fence === undefined ? undefined : Math.max(Math.floor((now - fence) / 1000), 0);
            return { ...one, fence, held };
        });
        return {
            key,
            ...holding(described.sort(byFence), isShared ? 'shared' : 'exclusive'),
            waiters: waiters.map(({ id, share, waited }) => waiterOf(nameOf(id), waited, share)),
        };
    }

    watch(key: string, holder: string): void {
        const unwatch = this._server.watch(key, holder, () => {
            this._unwatch.delete(unwatch);
            if (!this._closed) this._listener?.changed(key);
        });
        this._unwatch.add(unwatch);
    }

    private _busy(key: string, reply: BusyReply, sentAt: number): AcquireAnswer {
        const { clock: fence, holder, limit, rank, remaining, ticket, window } = reply;
        if (window > 0) this._handedOn(key, window);
        const foreign = holder !== '' && holder !== SHARED && readHolder(holder) === undefined;
        const left = remaining === -1 ? Infinity : remaining;
        return {
            kind: 'busy',
            sentAt,
            remaining: left,
            fence,
            ticket,
            rank,
            foreign,
            holder,
            limit: limit > 0 ? limit : undefined,
        };
    }

    private _release(key: string, request: QueuedRelease): ReleaseAnswer {
        const { released, window } = this._server.step(key, (lock) => lock.releaseQueued(request));
        if (window > 0) this._handedOn(key, window);
        return released ? 'released' : 'gone';
    }

    /** This is part of an answer, not a message that may be lost. */
    private _handedOn(key: string, window: number): void {
        inMicrotask(() => this._listener?.handedOn(key, window));
    }

    private _hear(key: string, message: Message): void {
        if (this.mute || this._closed) return;
        if (message.kind === 'first') this._listener?.first(key, message.id, message.taken);
        else this._listener?.granted(key, message.id, message.fence, message.ttl, message.spare);
    }
}

/** Whether what a key holds is a lock, as far as known: a holder that its caller has chosen tells nothing. */
export function isLock({ fence, holder, mode, waiters }: LockInfo): boolean {
    return fence !== undefined || mode === 'shared' || (holder !== undefined && waiters.length > 0);
}
