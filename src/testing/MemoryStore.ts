import { LockError, asLockError } from '../engine/port/errors';
import { globOf } from '../engine/port/glob';
import { renewEach } from '../engine/port/LockStore';
import type {
    AcquireAnswer,
    AcquireRequest,
    Callback,
    GiveUpRequest,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    Renewal,
    RenewAnswer,
    StoreListener,
} from '../engine/port/LockStore';
import { inMicrotask } from '../engine/time/hostTime';
import { MemoryConnection, isLock } from './MemoryConnection';
import { MemoryServer } from './MemoryServer';

/**
 * A store in memory, for unit tests: it does what a store on Redis does, without Redis. Each one is a process of its own;
 * those that share a server exclude each other. Answers and messages come asynchronously, and never fail.
 */
export class MemoryStore implements LockStore {
    readonly wakes = true;
    private readonly _connection: MemoryConnection;
    private _opened = false;

    /** @param server what several stores share; else this one has its own. */
    constructor(readonly server: MemoryServer = new MemoryServer()) {
        this._connection = new MemoryConnection(server);
    }

    open(listener: StoreListener): Promise<void> {
        if (this._connection.isClosed) return Promise.reject(closed());
        this._opened = true;
        this._connection.open(listener);
        return Promise.resolve();
    }

    close(): Promise<void> {
        this._connection.close();
        return Promise.resolve();
    }

    acquire(request: AcquireRequest, callback: Callback<AcquireAnswer>): void {
        const sentAt = this.server.clock.now();
        this._answer(request.key, () => this._connection.acquire(request, sentAt), callback);
    }

    renew(key: string, holder: string, ttl: number, shared?: boolean): Promise<RenewAnswer> {
        const sentAt = this.server.clock.now();
        return this._done(key, () => this._connection.renew({ key, holder, ttl, shared }, sentAt));
    }

    downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const sentAt = this.server.clock.now();
        return this._done(key, () => this._connection.downgrade({ key, holder, ttl }, sentAt));
    }

    renewAll(renewals: readonly Renewal[]): void {
        renewEach(this, renewals);
    }

    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        this._answer(request.key, () => this._connection.release(request), callback);
    }

    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer> {
        return this._done(request.key, () => this._connection.giveUp(request));
    }

    handOn(key: string): Promise<void> {
        return this._done(key, () => this._connection.handOn(key));
    }

    inspect(key: string): Promise<LockInfo> {
        return this._done(key, () => this._connection.inspect(key));
    }

    async *list(pattern: string): AsyncIterable<LockInfo> {
        const wanted = globOf(pattern);
        for (const key of this.server.keys.filter(wanted)) {
            const info = await this.inspect(key);
            if (isLock(info)) yield info;
        }
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._done(key, () => {
            this._connection.watch(key, holder);
            return true;
        });
    }

    private _done<Answer>(key: string, step: () => Answer): Promise<Answer> {
        return new Promise((resolve, reject) => {
            this._answer(key, step, (answer) => (answer instanceof Error ? reject(answer) : resolve(answer)));
        });
    }

    private _answer<Answer>(key: string, step: () => Answer, callback: Callback<Answer>): void {
        const answer = this._perform(key, step);
        inMicrotask(() => callback(answer));
    }

    private _perform<Answer>(key: string, step: () => Answer): Answer | LockError {
        if (this._connection.isClosed) return closed();
        if (!this._opened) return new LockError('NOT_OPENED', 'The store was not opened.', { key });
        try {
            return step();
        } catch (error) {
            return asLockError(error, key);
        }
    }
}

function closed(): LockError {
    return new LockError('CLOSED', 'The store was closed.');
}
