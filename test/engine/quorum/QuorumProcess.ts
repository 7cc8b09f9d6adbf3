import { assert } from 'chai';
import { newId } from '../../../src/engine/port/holder';
import type { AcquireAnswer, AcquireRequest, Busy, Granted, ReleaseAnswer } from '../../../src/engine/port/LockStore';
import { QuorumStore } from '../../../src/engine/quorum/QuorumStore';
import type { QuorumStoreOptions } from '../../../src/engine/quorum/QuorumStore';
import { acquireFrom, releaseTo } from '../../fixtures/asks';
import type { VirtualClock } from '../../fixtures/VirtualClock';
import { MemoryLink } from './MemoryNode';
import type { MemoryNode } from './MemoryNode';

export const KEY = 'key';
export const TTL = 10_000;
export const NODE_TIMEOUT = 100;

/** A process that uses a quorum of nodes in memory, and what its store tells. */
export class QuorumProcess {
    readonly links: readonly MemoryLink[];
    readonly store: QuorumStore;
    readonly told: string[] = [];

    constructor(
        nodes: readonly MemoryNode[],
        readonly clock: VirtualClock,
        options: Partial<QuorumStoreOptions> = {},
    ) {
        this.links = nodes.map((node) => new MemoryLink(node));
        this.store = new QuorumStore(this.links, { nodeTimeout: NODE_TIMEOUT, longestTtl: TTL, ...options }, clock);
    }

    async open(): Promise<this> {
        await this.during(
            this.store.open({
                granted: () => this.told.push('granted'),
                woken: (_key, id) => this.told.push(`woken ${id}`),
                first: (_key, id) => this.told.push(`first ${id}`),
                handedOn: () => this.told.push('handedOn'),
                changed: () => this.told.push('changed'),
                reconnected: () => this.told.push('reconnected'),
                disconnected: () => this.told.push('disconnected'),
                recovered: () => this.told.push('recovered'),
                warned: (message) => this.told.push(`warned ${message}`),
            }),
        );
        return this;
    }

    /** How many acquisitions the store knows of. */
    get known(): number {
        return (this.store as unknown as { readonly _acquisitions: ReadonlyMap<string, unknown> })._acquisitions.size;
    }

    acquire(options: Partial<AcquireRequest> = {}): Promise<AcquireAnswer> {
        return this.during(acquireFrom(this.store, { key: KEY, id: newId(), ttl: TTL, ticket: undefined, ...options }));
    }

    async granted(options: Partial<AcquireRequest> = {}): Promise<Granted> {
        const answer = await this.acquire(options);
        return answer.kind === 'granted' ? answer : assert.fail(`It was busy: ${answer.holder} had it.`);
    }

    async busy(options: Partial<AcquireRequest> = {}): Promise<Busy> {
        const answer = await this.acquire(options);
        return answer.kind === 'busy' ? answer : assert.fail('It was granted.');
    }

    release({ holder }: { readonly holder: string }, buried?: string): Promise<ReleaseAnswer> {
        return this.during(releaseTo(this.store, KEY, holder, buried));
    }

    giveUp(id: string, underWay = false): Promise<ReleaseAnswer> {
        return this.during(this.store.giveUp({ key: KEY, id, underWay }));
    }

    /** Lets time pass until it is settled. */
    async during<T>(promise: Promise<T>, longest = 5000): Promise<T> {
        let isSettled = false;
        const settle = (): void => void (isSettled = true);
        promise.then(settle, settle);
        await this.clock.advance(0);
        for (let passed = 0; !isSettled && passed < longest; passed += 5) await this.clock.advance(5);
        assert.isTrue(isSettled, 'It takes too long.');
        return promise;
    }
}
