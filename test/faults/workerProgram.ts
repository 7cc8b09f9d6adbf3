/**
 * A worker of the lab, a process of its own with one RedisLock: takes keys again and again, writes to the guarded resource
 * while it has one, and notes all that happens in the history. Its parent may block its event loop and asks it to stop.
 */
import { subscribe } from 'node:diagnostics_channel';
import { createRequire } from 'node:module';
import { setTimeout as sleep } from 'node:timers/promises';
import { ConfigParams } from 'pip-services4-components-node';
import type * as Library from '../../src';
import type { Lease, LockEvent, RedisLock } from '../../src';
import { History, instant } from './History';
import type { Share } from './HistoryEvent';
import { ResourceClient } from './ResourceClient';
import { Seed } from './Seed';
import type { Pace } from './Pace';

export interface WorkerPlan {
    readonly client: string;
    readonly history: string;
    /** Path of the library: the built package, or a mutant of it. */
    readonly library: string;
    /** Of RedisLock, by name. */
    readonly config: Readonly<Record<string, string | number | boolean>>;
    readonly resource: number;
    readonly keys: readonly string[];
    /** Of these, shares are taken, too: by readers, and, where that can be, of permits. */
    readonly shared: readonly string[];
    readonly permits: boolean;
    readonly seed: number;
    readonly pace: Pace;
}

export type WorkerOrder =
    | { readonly kind: 'start' }
    | { readonly kind: 'block'; readonly time: number }
    /** No further acquisitions; answered when none is left. */
    | { readonly kind: 'stop' }
    | { readonly kind: 'close' };

export type WorkerReport = { readonly kind: 'open' | 'stopped' | 'closed' } | { kind: 'failed'; error: string };

/** A process that was ready to run is looked at this often, ms, and noted when it was not running for this long, ms. */
const TICK = 10;
const STILL = 25;

class LabWorker {
    private readonly _history: History;
    private readonly _resource: ResourceClient;
    private readonly _seed: Seed;
    private readonly _held = new Map<string, Lease>();
    private readonly _loops: Promise<void>[] = [];
    private _stopped = false;
    private _count = 0;
    private _ticked = instant();

    constructor(
        private readonly _plan: WorkerPlan,
        private readonly _lock: RedisLock,
    ) {
        this._history = new History(_plan.history, _plan.client);
        this._resource = new ResourceClient(_plan.resource);
        this._seed = new Seed(_plan.seed);
    }

    async open(channel: string): Promise<void> {
        const { config } = this._plan;
        this._lock.configure(ConfigParams.fromTuples(...Object.entries(config).flat()));
        subscribe(channel, (event) => this._observed(event as LockEvent));
        setInterval(() => this._tick(), TICK);
        await this._lock.open(null);
    }

    start(): void {
        for (let at = 0; at < this._plan.pace.loops; at += 1) this._loops.push(this._work());
    }

    /** Nothing else runs in this process for so long; what comes first after it is a look at each lease. */
    block(time: number): void {
        const until = instant() + time;
        while (instant() < until);
        for (const [attempt, lease] of this._held) this._note(attempt, lease, 'check');
    }

    async stop(): Promise<void> {
        this._stopped = true;
        await Promise.all(this._loops);
    }

    close(): Promise<void> {
        return this._lock.close(null);
    }

    private async _work(): Promise<void> {
        const { pace, keys, shared } = this._plan;
        while (!this._stopped) {
            await this._turn(this._seed.one([...keys, ...shared]));
            await sleep(this._seed.between(pace.pause / 3, pace.pause));
        }
    }

    private async _turn(key: string): Promise<void> {
        const { pace } = this._plan;
        const attempt = `${this._plan.client}-${(this._count += 1)}`;
        const ttl = Math.round(this._seed.between(pace.ttl[0], pace.ttl[1]));
        const plain = this._seed.happens(pace.tries);
        const patience = plain ? 0 : this._seed.happens(pace.impatient) ? 150 : 30_000;
        const keepAlive = this._seed.happens(pace.keepAlive);
        const stay = this._seed.happens(pace.overstay) ? ttl * 1.5 : this._seed.between(pace.stay / 4, pace.stay);
        const cancel = this._seed.happens(pace.cancel) ? new AbortController() : undefined;
        const timer = setTimeout(() => this._cancel(key, attempt, cancel), this._seed.between(5, 200));
        if (cancel === undefined) clearTimeout(timer);
        const share = this._share(key);
        this._history.note({
            operation: 'try',
            key,
            attempt,
            patience,
            ttl,
            ...(share === undefined ? {} : { share }),
        });
        try {
            const { limit, permits } = share ?? {};
            const wanted = typeof limit === 'number' ? { limit, permits } : { mode: share && ('shared' as const) };
            const options = { ttl, keepAlive, timeout: patience, signal: cancel?.signal, ...wanted };
            const lease = plain
                ? await this._lock.tryAcquire(attempt, key, options)
                : await this._lock.acquire(attempt, key, options);
            clearTimeout(timer);
            if (lease === null) this._history.note({ operation: 'refused', key, attempt, reason: 'busy' });
            else await this._use(attempt, lease, stay);
        } catch (error) {
            clearTimeout(timer);
            const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
            this._history.note({ operation: 'refused', key, attempt, reason });
            // A worker that cannot reach the server does not try at once again.
            if (!['LOCK_TIMEOUT', 'LOCK_ABORTED'].includes(reason)) await sleep(100);
        }
    }

    /** What is wanted of a key beside others; undefined: all of it. */
    private _share(key: string): Share | undefined {
        if (!this._plan.shared.includes(key) || this._seed.happens(0.3)) return undefined;
        const isReader = !this._plan.permits || this._seed.happens(0.5);
        return isReader ? { permits: 1, limit: null } : { permits: this._seed.happens(0.3) ? 2 : 1, limit: 3 };
    }

    private async _use(attempt: string, lease: Lease, stay: number): Promise<void> {
        const { key, holder, fence } = lease;
        this._note(attempt, lease, 'grant');
        this._held.set(attempt, lease);
        const lost = (): void => {
            const reason = lease.signal.reason instanceof Error ? lease.signal.reason.message : '';
            this._history.note({ operation: 'lost', key, attempt, holder, fence, reason });
            this._held.delete(attempt);
        };
        if (lease.signal.aborted) lost();
        else lease.signal.addEventListener('abort', lost, { once: true });
        this._note(attempt, lease, 'enter');
        // A worker that holds a key works on until it is told otherwise.
        await sleep(stay / 2, undefined, { signal: lease.signal }).catch(() => undefined);
        await this._write(attempt, lease);
        await sleep(stay / 2, undefined, { signal: lease.signal }).catch(() => undefined);
        this._note(attempt, lease, 'exit');
        this._held.delete(attempt);
        lease.signal.removeEventListener('abort', lost);
        this._history.note({ operation: 'release-start', key, attempt, holder, fence });
        const answer = await lease.release().then(String, (error: Error) => error.message);
        this._history.note({ operation: 'release-end', key, attempt, holder, fence, answer });
    }

    /** A careless writer: it does not ask whether it still holds the key, so that the resource has something to refuse. */
    private async _write(attempt: string, lease: Lease): Promise<void> {
        const { key, holder, fence } = lease;
        const belief = this._belief(lease);
        const at = instant();
        void this._resource.write({ key, value: `${attempt}*`, fence: null });
        const accepted = await this._resource.write({ key, value: attempt, fence });
        this._history.note(
            { operation: 'write', key, attempt, holder, fence, ...belief, value: attempt, accepted },
            at,
        );
    }

    private _note(attempt: string, lease: Lease, operation: 'grant' | 'enter' | 'exit' | 'check' | 'renew'): void {
        const { key, holder, fence } = lease;
        const at = instant();
        this._history.note({ operation, key, attempt, holder, fence, ...this._belief(lease) }, at);
    }

    private _belief(lease: Lease): { held: boolean; deadline: number } {
        const at = instant();
        const remaining = lease.remaining();
        return { held: remaining > 0, deadline: at + remaining };
    }

    private _cancel(key: string, attempt: string, controller: AbortController | undefined): void {
        this._history.note({ operation: 'cancel', key, attempt });
        controller?.abort();
    }

    private _observed(event: LockEvent): void {
        if (!('context' in event) || typeof event.context !== 'string') return;
        const attempt = event.context;
        if (event.kind === 'waiting') this._history.note({ operation: 'waiting', key: event.key, attempt });
        const lease = this._held.get(attempt);
        if (event.kind === 'renewed' && lease !== undefined) this._note(attempt, lease, 'renew');
    }

    private _tick(): void {
        const now = instant();
        if (now - this._ticked > STILL) this._history.note({ operation: 'blocked', from: this._ticked }, now);
        this._ticked = now;
    }
}

function report(one: WorkerReport): void {
    process.send?.(one);
}

async function obey(worker: LabWorker, order: WorkerOrder): Promise<void> {
    switch (order.kind) {
        case 'start':
            worker.start();
            return;
        case 'block':
            worker.block(order.time);
            return;
        case 'stop':
            await worker.stop();
            report({ kind: 'stopped' });
            return;
        case 'close':
            await worker.close();
            report({ kind: 'closed' });
    }
}

async function main(): Promise<void> {
    const plan = JSON.parse(process.argv[2] ?? '') as WorkerPlan;
    const library = createRequire(__filename)(plan.library) as typeof Library;
    const worker = new LabWorker(plan, new library.RedisLock());
    process.on('message', (order: WorkerOrder) => {
        obey(worker, order).catch((error: unknown) => report({ kind: 'failed', error: String(error) }));
    });
    process.on('disconnect', () => process.exit());
    await worker.open(library.DIAGNOSTICS_CHANNEL);
    report({ kind: 'open' });
}

main().catch((error: unknown) => {
    report({ kind: 'failed', error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
});
