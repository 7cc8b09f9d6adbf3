import { randomUUID } from 'node:crypto';
import { assert } from 'chai';
import { newId, nameOf } from '../../../../src/engine/port/holder';
import type {
    AcquireRequest,
    Busy,
    Granted,
    LockStore,
    ReleaseAnswer,
    Share,
    StoreListener,
} from '../../../../src/engine/port/LockStore';
import { SHARED } from '../../../../src/engine/port/protocol';
import type { Clock } from '../../../../src/engine/time/Clock';
import { acquireFrom, releaseTo } from '../../../fixtures/asks';
import { until } from '../../../fixtures/until';

/** What is around the stores. */
export interface StoreWorld {
    /** A store of one process, not yet opened. Each call is another process. */
    store(): LockStore;
    /** The clock of the stores. */
    readonly clock: Clock;
    /** Lets time pass. */
    pass(time: number): Promise<void>;
    /** Another program writes the key as its own: a plain string, with an expiry unless that is Infinity. */
    set(key: string, value: string, ttl: number): Promise<void>;
    delete(key: string): Promise<void>;
    /** What the key holds. */
    get(key: string): Promise<string | undefined>;
    /** Closes all but the stores. */
    close(): Promise<void>;
}

export const TTL = 20_000;

export interface Told {
    readonly kind: 'granted' | 'first';
    readonly key: string;
    readonly id: string;
    /** Of a grant. */
    readonly fence: number;
    /** For how long the key was granted, or is taken, ms. */
    readonly time: number;
}

/**
 * A store with a key, and acquisitions that tests call by short names: 'b', or 'b of owner' where the caller has chosen the
 * holder 'owner'.
 */
export class Scene {
    key = '';
    told: Told[] = [];
    changes: string[] = [];
    handOffs: { readonly key: string; readonly window: number }[] = [];
    private _world: StoreWorld | undefined;
    private _store: LockStore | undefined;
    private _stores: LockStore[] = [];
    private _ids = new Map<string, string>();
    private readonly _listener: StoreListener = {
        granted: (key, id, fence, time) => this.told.push({ kind: 'granted', key, id, fence, time }),
        woken: (key, id) => this.told.push({ kind: 'granted', key, id, fence: 0, time: 0 }),
        first: (key, id, time) => this.told.push({ kind: 'first', key, id, fence: 0, time }),
        handedOn: (key, window) => this.handOffs.push({ key, window }),
        changed: (key) => this.changes.push(key),
        reconnected: () => undefined,
        disconnected: () => undefined,
        recovered: () => undefined,
        warned: () => undefined,
    };

    /**
     * @param isQuorum see StoreFacts.
     * @param share    of every acquisition, if it does not say otherwise.
     */
    constructor(
        private readonly _open: () => Promise<StoreWorld>,
        readonly isQuorum: boolean,
        readonly share?: Share,
    ) {}

    /** Whether a holder with another fence is another one: not on a quorum, whose nodes differ, nor among those who share a key. */
    get comparesFences(): boolean {
        return !this.isQuorum && this.share === undefined;
    }

    get world(): StoreWorld {
        return this._world ?? assert.fail('Not set up.');
    }

    get store(): LockStore {
        return this._store ?? assert.fail('Not set up.');
    }

    async setUp(): Promise<void> {
        this._world = await this._open();
        this._stores = [];
        this._ids = new Map();
        this.told = [];
        this.changes = [];
        this.handOffs = [];
        this.key = `contract:${randomUUID()}`;
        this._store = await this.another();
    }

    async tearDown(): Promise<void> {
        await Promise.all(this._stores.map((store) => store.close()));
        await this.world.close();
    }

    /** A store of another process. */
    async another(): Promise<LockStore> {
        const store = this.world.store();
        this._stores.push(store);
        await store.open(this._listener);
        return store;
    }

    idOf(name: string): string {
        const id = this._ids.get(name) ?? newId(/ of (.*)$/su.exec(name)?.[1]);
        this._ids.set(name, id);
        return id;
    }

    request(name: string, options: Partial<AcquireRequest> = {}): AcquireRequest {
        return { key: this.key, id: this.idOf(name), ttl: TTL, ticket: undefined, share: this.share, ...options };
    }

    async granted(name: string, options: Partial<AcquireRequest> = {}, store = this.store): Promise<Granted> {
        const answer = await acquireFrom(store, this.request(name, options));
        return answer.kind === 'granted' ? answer : assert.fail(`${name} found it busy.`);
    }

    async busy(name: string, options: Partial<AcquireRequest> = {}, store = this.store): Promise<Busy> {
        const answer = await acquireFrom(store, this.request(name, options));
        return answer.kind === 'busy' ? answer : assert.fail(`${name} was granted it.`);
    }

    /** Takes a place in line, or keeps it. */
    wait(name: string, options: Partial<AcquireRequest> = {}, store = this.store): Promise<Busy> {
        return this.busy(name, { ticket: 0, ...options }, store);
    }

    /** @param keep for how long it stays taken, ms. */
    release(
        { holder }: { readonly holder: string },
        buried?: string,
        store = this.store,
        keep?: number,
    ): Promise<ReleaseAnswer> {
        const keptUntil = keep === undefined ? undefined : this.world.clock.now() + keep;
        return releaseTo(store, this.key, holder, buried === undefined ? undefined : this.idOf(buried), keptUntil);
    }

    giveUp(name: string, underWay = false): Promise<ReleaseAnswer> {
        return this.store.giveUp({ key: this.key, id: this.idOf(name), underWay });
    }

    /** Who has the key, by its short name; else what it holds. */
    async holder(key = this.key): Promise<string | undefined> {
        return this.named(await this.value(key));
    }

    /** Who has the key: what it holds, or, where it is shared, the first of those who share it. */
    async value(key = this.key): Promise<string | undefined> {
        const value = await this.world.get(key);
        return value === SHARED ? (await this.store.inspect(key)).holder : value;
    }

    /** Who has the key, by the short name, as far as an answer tells. One that is shared has no single holder to tell. */
    async seen({ holder }: Busy): Promise<string | undefined> {
        return holder === SHARED ? this.holder() : this.named(holder);
    }

    /** Who waits, in order. */
    async line(): Promise<(string | undefined)[]> {
        return (await this.store.inspect(this.key)).waiters.map(({ holder }) => this.named(holder));
    }

    /** The short name of a holder; else the holder. */
    named(holder: string | undefined): string | undefined {
        const own = [...this._ids].find(([name, id]) => {
            const chosen = / of (.*)$/su.exec(name)?.[1];
            return chosen === undefined && holder?.startsWith(nameOf(id)) === true;
        });
        return own?.[0] ?? holder;
    }

    /** What the acquisition was told of its grant. */
    grantOf(name: string): Promise<Told> {
        return this._toldTo(name, 'granted');
    }

    firstOf(name: string): Promise<Told> {
        return this._toldTo(name, 'first');
    }

    private async _toldTo(name: string, kind: Told['kind']): Promise<Told> {
        const find = (): Told | undefined => this.told.find((one) => one.kind === kind && one.id === this.idOf(name));
        await until(() => find() !== undefined);
        return find() ?? assert.fail();
    }
}
