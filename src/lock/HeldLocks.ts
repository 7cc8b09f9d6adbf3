import type { Lease } from '../engine/lease/Lease';
import type { Clock } from '../engine/time/Clock';

/** A lost lock waits at least so long for the release of its caller, ms. */
const LATE = 10_000;

/** Above this many locks, those that need not be remembered any more are looked for. */
const MANY = 1000;

/** What is needed of a lease here. */
type ReleasableLease = Pick<Lease, 'key' | 'holder' | 'isHeld' | 'release'>;

interface Held {
    /** The trace id, else the context itself; undefined: there was none. */
    readonly caller: unknown;
    readonly lease: ReleasableLease;
    /** As requested, ms. */
    readonly ttl: number;
    /** When its loss was noticed. */
    lostAt: number | undefined;
}

/**
 * The locks that were taken through the ILock methods, and which of them a release means. Those methods name a lock by its key
 * alone, so several locks of one key may be known here: one is held, and others were lost and have not been released yet.
 *
 * | `releaseLock` is called by                     | it releases                                            |
 * | ---------------------------------------------- | ------------------------------------------------------ |
 * | a trace id that has locks of the key           | the last of them                                       |
 * | a caller without a trace id that has locks     | the first of them: releases come in the order of locks |
 * | a trace id that has none                       | the first lock that was taken without a trace id       |
 * | a caller without a trace id that has none      | the first lock, of any caller                          |
 * | a caller whose lock was lost                   | nothing; its next release means its next lock          |
 *
 * Callers without a trace id are told apart by their context object; those without a context are one caller. A lost lock that
 * nobody releases is forgotten when its ttl has passed once more, but not before 10 s.
 */
export class HeldLocks {
    private readonly _byKey = new Map<string, readonly Held[]>();
    private _size = 0;
    private _many = MANY;

    constructor(private readonly _clock: Clock) {}

    /** @returns whether this caller has acquired the key before and not released it. */
    add(caller: unknown, lease: ReleasableLease, ttl: number): boolean {
        const before = this._of(lease.key);
        const remembered = before.filter((one) => this._isRemembered(one));
        this._set(lease.key, before, [...remembered, { caller, lease, ttl, lostAt: undefined }]);
        if (this._size > this._many) this._forget();
        return before.some((one) => one.caller === caller);
    }

    /** Notes when a lock was lost. */
    lost(key: string, holder: string): void {
        for (const one of this._of(key)) if (one.lease.holder === holder) this._isRemembered(one);
    }

    /** Releases the lock that `caller` means, see the class. */
    async release(caller: unknown, key: string): Promise<void> {
        const before = this._of(key);
        const remembered = before.filter((one) => this._isRemembered(one));
        const meant = meantBy(caller, remembered);
        const others = remembered.filter((one) => one !== meant);
        this._set(key, before, others);
        await meant?.lease.release();
    }

    /** Whether its caller may still release it. Notes when it was lost. */
    private _isRemembered(one: Held): boolean {
        if (one.lease.isHeld()) {
            one.lostAt = undefined;
            return true;
        }
        one.lostAt ??= this._clock.now();
        return this._clock.now() < one.lostAt + Math.max(one.ttl, LATE);
    }

    private _forget(): void {
        for (const [key, held] of this._byKey) {
            const remembered = held.filter((one) => this._isRemembered(one));
            this._set(key, held, remembered);
        }
        this._many = Math.max(MANY, 2 * this._size);
    }

    private _of(key: string): readonly Held[] {
        return this._byKey.get(key) ?? [];
    }

    private _set(key: string, before: readonly Held[], after: readonly Held[]): void {
        this._size += after.length - before.length;
        if (after.length > 0) this._byKey.set(key, after);
        else this._byKey.delete(key);
    }
}

function meantBy(caller: unknown, held: readonly Held[]): Held | undefined {
    const hasTraceId = typeof caller === 'string';
    const own = held.filter((one) => one.caller === caller);
    if (own.length > 0) return hasTraceId ? own.at(-1) : own[0];
    return held.find((one) => !hasTraceId || typeof one.caller !== 'string');
}
