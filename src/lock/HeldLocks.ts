import type { Lease } from '../engine/lease/Lease';

/** From so many on, leases that were lost and never released are forgotten. */
const MANY = 1000;

interface Held {
    readonly caller: unknown;
    readonly lease: Lease;
}

/**
 * The locks taken through the ILock methods, which name a lock by its key alone. A caller whose lock ran out may release it
 * when another caller of this component has the key already; so a lost lease is remembered until it is released, and callers
 * are told apart by trace id, else by the context they hand in.
 */
export class HeldLocks {
    private readonly _byKey = new Map<string, Held[]>();
    private _size = 0;
    private _many = MANY;

    add(caller: unknown, lease: Lease): void {
        this._byKey.set(lease.key, [...(this._byKey.get(lease.key) ?? []), { caller, lease }]);
        this._size += 1;
        if (this._size > this._many) this._forget();
    }

    /**
     * Releases the lease that `caller` means: its own, or where it or whoever acquired has no trace id, any.
     *
     * Among several of its own it is the last if they have a trace id: one call chain has given up what it lost before.
     * Without one they may be of different callers, and it is the first; when that turns out to be lost, the others are left
     * to run out, so that neither is somebody else's lock released nor one kept alive that its caller has released.
     */
    async release(caller: unknown, key: string): Promise<void> {
        const held = this._byKey.get(key) ?? [];
        const own = held.filter((one) => one.caller === caller);
        const meant = typeof caller === 'string' ? own.at(-1) : own[0];
        const taken = meant ?? held.find((one) => typeof caller !== 'string' || typeof one.caller !== 'string');
        if (taken === undefined) return;
        this._keep(key, held, (one) => one !== taken);
        const ours = await taken.lease.release();
        if (ours || typeof caller === 'string') return;
        for (const { lease } of own) if (lease !== taken.lease && lease.isHeld()) lease.handOver();
    }

    private _forget(): void {
        for (const [key, held] of this._byKey) this._keep(key, held, (one) => one.lease.isHeld());
        this._many = Math.max(MANY, 2 * this._size);
    }

    private _keep(key: string, held: readonly Held[], keep: (one: Held) => boolean): void {
        const kept = held.filter(keep);
        this._size -= held.length - kept.length;
        if (kept.length > 0) this._byKey.set(key, kept);
        else this._byKey.delete(key);
    }
}
