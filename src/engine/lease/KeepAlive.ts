import type { GiveUps } from '../followups/GiveUps';
import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import { answerWith } from '../port/LockStore';
import type { LockStore, ReleaseAnswer, Renewal } from '../port/LockStore';
import { shareHolder } from '../port/ReservingRequest';
import { latestEnd } from '../port/validity';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { TimerHeap } from '../time/TimerHeap';
import type { Deputy } from './Deputy';
import type { HeldLease } from './HeldLease';
import type { LeasedKey } from './LeasedKey';
import type { LeaseEnd } from './LeaseKeeper';
import { LeaseRenewal } from './LeaseRenewal';
import { Upkeep } from './Upkeep';
import type { LeaseTerms, UpkeepOwner } from './Upkeep';

/** Renewals are due at multiples of this, ms: those of about the same time go out in one command. */
const GRID = 10;

/** At most this many renewals in one command: in longer ones each costs no less. */
const RENEWALS_PER_COMMAND = 100;

/** A timer that is later than this shows that the event loop was blocked, ms. */
const LATE = 5;

/** How long an answer that came meanwhile may take to be read, ms. */
const READING = 50;

/** How long until a renewal of the deputy, which takes a moment, is looked at again, ms. */
const LOOK = 5;

/** What a lease that is not released by us answers. */
const STILL_OURS = Promise.resolve(true);
const NOT_OURS = Promise.resolve(false);

/**
 * Looks after every held lease: renews those that are to be kept alive at a third of their ttl, and ends each at its deadline
 * whether or not the store answers. One timer for all of them.
 */
export class KeepAlive implements UpkeepOwner {
    /** All of them: each has a deadline. */
    private readonly _queue: TimerHeap<Upkeep>;
    /** To be sent in this turn of the event loop. */
    private _renewals: Renewal[] = [];
    /** Releases that have no answer yet; `_idle` is called when the last of them has one. */
    private _releasing = 0;
    private _idle: (() => void) | undefined;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _giveUps: GiveUps,
        private readonly _tell: (event: LockEvent) => void,
        readonly exceptionOf: UpkeepOwner['exceptionOf'],
        private readonly _deputy?: Deputy | undefined,
    ) {
        this._queue = new TimerHeap(_clock, (upkeep) => this._due(upkeep));
    }

    /** How many leases are held. */
    get size(): number {
        return this._queue.size;
    }

    /** Looks after a lease from now on. @param confirmed the store has the key for the whole ttl. */
    begin(one: LeasedKey, terms: LeaseTerms, confirmed: boolean): HeldLease {
        const upkeep = new Upkeep(this, this._clock, one, terms, this._clock.now());
        this.extended(upkeep, confirmed);
        return upkeep.lease;
    }

    /** Releases every lease; settles when all of them have been answered, and those that were being released already. */
    async close(): Promise<void> {
        for (const { lease } of this._queue.items()) lease.close().catch(() => false);
        this._queue.clear();
        if (this._releasing > 0) await new Promise<void>((resolve) => (this._idle = resolve));
    }

    adopt(one: LeasedKey): LeasedKey {
        return this._deputy?.adopt(one) ?? one;
    }

    extended(upkeep: Upkeep, confirmed: boolean): void {
        if (upkeep.isKept) this._deputy?.keep(upkeep.lease, true);
        this._plan(upkeep, upkeep.rhythm());
        if (!confirmed) this._confirm(upkeep);
    }

    keep(upkeep: Upkeep, whether: boolean): void {
        if (!this._queue.has(upkeep)) return;
        upkeep.isKept = whether;
        this._deputy?.keep(upkeep.lease, whether);
        if (upkeep.renewing === undefined) this._plan(upkeep, upkeep.rhythm());
    }

    async renew(upkeep: Upkeep, ttl: number): Promise<void> {
        const { lease } = upkeep;
        while (this._queue.has(upkeep) && !this._mayBegin(upkeep)) await this._other(upkeep);
        lease.assertHeld();
        const before = lease.ttl;
        this._setTtl(upkeep, ttl);
        upkeep.longest = Math.max(upkeep.longest, ttl);
        const answer = this._renew(upkeep).answer();
        this._send();
        const failure = await answer;
        // What the store will never do is not retried.
        if (failure !== undefined && !isTemporary(failure)) this._setTtl(upkeep, before);
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    async downgrade(upkeep: Upkeep): Promise<void> {
        const { lease } = upkeep;
        // A renewal of the exclusive lease that arrived later would find it gone.
        while (this._queue.has(upkeep) && !this._mayBegin(upkeep)) await this._other(upkeep);
        lease.assertHeld();
        if (lease.leased.every(({ shared }) => shared === true)) {
            this._deputy?.done(lease);
            return;
        }
        const downgrading = this._begin(upkeep);
        for (const part of downgrading.parts) {
            const { holder, key, ttl } = part;
            answerWith(this._store.downgrade(key, holder, ttl), part, part.downgrade());
        }
        const failure = await downgrading.answer();
        if (failure !== undefined) throw failure;
        lease.assertHeld();
    }

    ended(upkeep: Upkeep, end: LeaseEnd): Promise<boolean> {
        this._queue.delete(upkeep);
        const over = this._deputy?.end(upkeep.lease);
        if (over !== undefined) upkeep.isAstray = true;
        upkeep.renewing?.settle();
        switch (end.kind) {
            case 'released':
            case 'closed':
                return this._release(upkeep, over);
            case 'handed over':
                for (const one of upkeep.lease.leased) this._handOver(upkeep, one);
                return STILL_OURS;
            case 'lost':
                this._lost(upkeep, end.error);
                return NOT_OURS;
        }
    }

    /**
     * Asks for the whole ttl of keys that the store has for less so far. The request is on its way when this returns: whoever is
     * told of the lease next may keep the event loop busy for longer than the claim window.
     */
    private _confirm(upkeep: Upkeep): void {
        upkeep.isConfirmed = false;
        this._deputy?.begin(upkeep.lease, true);
        this._renew(upkeep);
        this._send();
    }

    private _due(upkeep: Upkeep): void {
        const { lease } = upkeep;
        const now = this._clock.now();
        const late = now - lease.deadline;
        if (late >= 0) {
            if (late <= LATE || upkeep.renewing === undefined || upkeep.readUntil !== undefined) lease.lose('ran out');
            else this._queue.set(upkeep, (upkeep.readUntil = now + READING));
            return;
        }
        const renews = (upkeep.isKept || !upkeep.isConfirmed) && upkeep.renewing === undefined;
        if (!renews) this._plan(upkeep, Infinity);
        else if (this._begins(upkeep)) this._renew(upkeep);
        else this._plan(upkeep, LOOK);
    }

    /** Whether no renewal of the lease is under way. Then one of ours begins. */
    private _mayBegin(upkeep: Upkeep): boolean {
        return upkeep.renewing === undefined && this._begins(upkeep);
    }

    /** Settles when the renewal that is under way may be over. */
    private _other({ renewing }: Upkeep): Promise<unknown> {
        return renewing?.answer() ?? new Promise<void>((resolve) => this._clock.timer(LOOK, resolve));
    }

    /** False: the deputy renews it at this moment. */
    private _begins({ lease }: Upkeep): boolean {
        return this._deputy?.begin(lease, false) ?? true;
    }

    private _setTtl({ lease, isKept }: Upkeep, ttl: number): void {
        lease.ttl = ttl;
        if (isKept) this._deputy?.keep(lease, true);
    }

    private _begin(upkeep: Upkeep): LeaseRenewal {
        const renewal = new LeaseRenewal(upkeep.lease, this._clock.now(), (answered) =>
            this._answered(upkeep, answered),
        );
        upkeep.renewing = renewal;
        this._plan(upkeep, Infinity);
        return renewal;
    }

    /** Renews every key of a lease, together with what is due in the same turn. */
    private _renew(upkeep: Upkeep): LeaseRenewal {
        const renewal = this._begin(upkeep);
        const isFirst = this._renewals.length === 0;
        this._renewals.push(...renewal.parts);
        if (this._renewals.length >= RENEWALS_PER_COMMAND) this._send();
        else if (isFirst) inMicrotask(() => this._send());
        return renewal;
    }

    private _send(): void {
        const renewals = this._renewals;
        this._renewals = [];
        if (renewals.length > 0) this._store.renewAll(renewals);
    }

    private _answered(upkeep: Upkeep, renewal: LeaseRenewal): void {
        const { lease, context, since } = upkeep;
        const { failure } = renewal;
        // One that was overtaken has not asked for the keys that were added since.
        const isLast = upkeep.renewing === renewal;
        if (isLast) upkeep.renewing = upkeep.readUntil = undefined;
        upkeep.isAstray ||= failure?.unknown === true;
        upkeep.failure = failure;
        if (!lease.isHeld()) return;
        if (isLast) this._deputy?.done(lease);
        const { key, holder } = lease;
        const held = this._clock.now() - since;
        if (failure === undefined) this._tell({ kind: 'renewed', key, holder, context, held });
        else this._tell({ kind: 'failed', key, holder, context, error: failure });
        // The observer may have ended it.
        if (!isLast || !this._queue.has(upkeep)) return;
        if (failure === undefined) upkeep.isConfirmed = true;
        const gone = this._clock.now() - renewal.sentAt;
        this._plan(upkeep, failure === undefined ? upkeep.rhythm(gone) : upkeep.retryPause());
    }

    private _lost(upkeep: Upkeep, error: LockError): void {
        const { lease, context, since, isKept, isAstray, renewing } = upkeep;
        const { key, holder, leased } = lease;
        // Of several keys the others may be ours still, a renewal without an answer may have arrived, and an attempt may yet. One key that
        // was not renewed by us is left alone: whoever was told the holder may have renewed it.
        const mayArrive = isAstray || renewing !== undefined || leased.some(({ buried }) => buried !== undefined);
        if (isKept || mayArrive || leased.length > 1) {
            for (const one of leased) this._giveUp(upkeep, one);
        }
        this._tell({ kind: 'lost', key, holder, context, held: this._clock.now() - since, error });
    }

    private _handOver({ longest }: Upkeep, { key, holder, buried }: LeasedKey): void {
        shareHolder(this._store, key, holder);
        if (buried !== undefined) this._giveUps.bury(key, buried, this._clock.now() + longest);
    }

    /** A renewal that is under way is not waited for: it never re-creates what was released before it. */
    private async _release(upkeep: Upkeep, over: Promise<void> | undefined): Promise<boolean> {
        const { leased } = upkeep.lease;
        if (leased.length === 1) return this._releaseOne(upkeep, leased[0], over);
        const released = await Promise.all(leased.map((one) => this._releaseOne(upkeep, one, over)));
        return released.every(Boolean);
    }

    /** @param over settles when a renewal of the deputy is over: it has a connection of its own, and may arrive after the release. */
    private _releaseOne(upkeep: Upkeep, one: LeasedKey, over: Promise<void> | undefined): Promise<boolean> {
        const { key, holder, buried, id, keptUntil, shared } = one;
        const { owners } = this._giveUps;
        this._releasing += 1;
        if (id !== undefined) owners.begin(key, holder);
        return new Promise((resolve, reject) => {
            const release = (): void =>
                this._store.release({ key, holder, buried, id, keptUntil, shared }, (answer) => {
                    this._releasing -= 1;
                    if (this._releasing === 0) this._idle?.();
                    const error = this._released(upkeep, one, answer);
                    if (id !== undefined) owners.end(key, holder);
                    if (error === undefined) resolve(answer === 'released');
                    else reject(this.exceptionOf(error, upkeep.context));
                });
            // It would lengthen the next lease of a holder that was chosen, and the time for which a key stays taken.
            if (over === undefined || (id === undefined && keptUntil === undefined)) release();
            else void over.then(release);
        });
    }

    private _released(upkeep: Upkeep, one: LeasedKey, answer: ReleaseAnswer | LockError): LockError | undefined {
        const { key, holder } = one;
        const { context, since } = upkeep;
        if (answer instanceof Error) {
            this._giveUp(upkeep, one);
            this._tell({ kind: 'failed', key, holder, context, error: answer });
            return answer;
        }
        if (answer === 'released') {
            this._tell({ kind: 'released', key, holder, context, held: this._clock.now() - since });
        }
        return undefined;
    }

    /** Sets when it is due next, from now: at its deadline at the latest. */
    private _plan(upkeep: Upkeep, delay: number): void {
        const now = this._clock.now();
        const onGrid = Math.floor((now + delay) / GRID) * GRID;
        this._queue.set(upkeep, Math.min(onGrid > now ? onGrid : now + delay, upkeep.lease.deadline));
    }

    /** Releases in the background, until the server has let go of it by itself; never what was acquired after it. */
    private _giveUp({ longest, isAstray, renewing }: Upkeep, one: LeasedKey): void {
        const { key, holder, buried, id, deadline, keptUntil, shared } = one;
        const until = latestEnd(this._clock.now(), longest, deadline);
        const release = { key, holder, buried, id, keptUntil, shared };
        this._giveUps.release(release, until, isAstray || renewing !== undefined);
    }
}
