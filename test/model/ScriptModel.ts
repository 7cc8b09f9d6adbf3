import type { AcquireReply } from '../../src/engine/redis/scripts/acquire';
import type { Message } from '../../src/engine/redis/scripts/grant';
import type { InspectReply } from '../../src/engine/redis/scripts/inspect';
import type { ReleaseReply } from '../../src/engine/redis/scripts/release';
import type { RenewReply } from '../../src/engine/redis/scripts/renew';
import { SCRIPT_RULES } from './rules';
import type { ScriptRules } from './rules';
import type { Memory, Place, Stored, WaiterRecord } from './Stored';

export interface AcquireCommand {
    readonly holder: string;
    readonly id: string;
    readonly ttl: number;
    /** So many fences below that of the grant are reserved with it. */
    readonly spare: number;
    /** Undefined: a plain try. An empty channel: it polls. `before` gives the key back in the same step. */
    readonly wait: Wait | undefined;
}

interface Wait {
    readonly ticket: number;
    readonly channel: string;
    readonly before: string | undefined;
}

export interface ReleaseCommand {
    /** Empty: only to hand on a key that nobody has. */
    readonly holder: string;
    /** Empty: whatever the holder has. */
    readonly id: string;
    readonly tombstone: boolean;
    /** After so many hand-offs in a row the key is left free for `pause` ms. */
    readonly yields: { readonly after: number; readonly pause: number } | undefined;
}

type Waiting = Extract<WaiterRecord, { kind: 'waiter' }>;

/**
 * What the scripts do to the keys of one lock, said a second time and in another language. `conformance.test.ts` compares
 * it with the scripts themselves; the explorer plays with it.
 *
 * A step changes the object it is called on: `copy` first to keep the state before. The values inside are never changed, so
 * copies share them.
 */
export class ScriptModel {
    /** The server's clock, ms. */
    now = 0;
    /** The same clock in µs. A field of its own, so that the explorer may let fences rise without time passing. */
    clock = 0;
    key: Stored<string> | undefined;
    queue: Stored<readonly Place[]> = { value: [], expires: Infinity };
    waiters: Stored<readonly WaiterRecord[]> = { value: [], expires: Infinity };
    memory: Stored<Memory> | undefined;
    /** Channels that somebody is subscribed to. */
    channels: readonly string[] = [];
    /** What reached somebody in this step. */
    published: readonly { readonly channel: string; readonly message: Message }[] = [];

    constructor(
        readonly name: string,
        readonly rules: ScriptRules = SCRIPT_RULES,
    ) {}

    copy(): ScriptModel {
        return Object.assign(new ScriptModel(this.name, this.rules), this, { published: [] });
    }

    acquire({ holder, id, ttl, spare, wait }: AcquireCommand): AcquireReply {
        this._begin();
        const memory: Memory = this.memory?.value ?? {};
        let current = this.key?.value;
        let granted = memory.holder;
        const quiet = this._quiet();
        if (quiet !== undefined && current === undefined) {
            const fence = this._after(memory.fence) + this._reserved(spare);
            this._hold(holder, id, ttl, fence);
            this._remember({ released: quiet });
            return { kind: 'granted', fence, released: false };
        }
        const record = quiet === undefined ? this._record(id) : undefined;
        if (record?.kind === 'tombstone' && record.until > this.now) return { kind: 'refused' };
        if (current === holder) {
            return { kind: 'granted', fence: this._extend(holder, id, ttl, spare), released: false };
        }
        const released = current !== undefined && current === wait?.before;
        if (current !== undefined && released) {
            this._release(current);
            this.key = current = undefined;
        }
        const lined = quiet === undefined && this.queue.value.length > 0;
        const ticket =
            wait !== undefined && (current !== undefined || lined)
                ? this._enqueue({ holder, id, ttl, spare }, wait)
                : 0;
        let fence = memory.fence ?? this.clock;
        let handedOn = false;
        const pause = (memory.freeUntil ?? 0) - this.now;
        if (current === undefined && !(lined && pause > 0)) {
            const least = this._after(memory.fence);
            const first = this._grant(least, id);
            if (first === undefined || first.id === id) {
                fence = least + this._reserved(spare);
                this._hold(holder, id, ttl, fence);
                if (lined) this._tellHead(ttl);
                else this._leave(id);
                return { kind: 'granted', fence, released };
            }
            fence = least + this._reserved(first.spare);
            current = granted = first.holder;
            handedOn = true;
        }
        const remaining = current === undefined ? pause : this._remaining();
        let rank = 0;
        if (wait !== undefined) {
            this._firstWaiter();
            rank = Math.max(this._rank(id), 0);
            this._keep(Math.max(remaining, 0));
        }
        const foreign = current !== undefined && granted !== current;
        return { kind: 'busy', remaining, fence, ticket, rank, foreign, handedOn, holder: current ?? '', released };
    }

    release({ holder, id, tombstone, yields }: ReleaseCommand): ReleaseReply {
        this._begin();
        const memory: Memory = this.memory?.value ?? {};
        const current = this.key?.value;
        if (holder !== '' && current === holder && id === '' && memory.released !== undefined) {
            this.key = undefined;
            this._release(holder);
            return { kind: 'released', handedOn: 0 };
        }
        const fence = this._after(memory.fence);
        let window = 0;
        const its = id === memory.acquisition || (id === holder && memory.holder !== holder);
        const theirs = holder !== '' && current === holder && (id === '' || its);
        const ours = theirs || (!this.rules.compares && current !== undefined);
        if (ours) {
            this.key = undefined;
            this._release(holder);
            this._keep(0);
            window = this._yields(yields) ?? this._handOn(fence);
        } else {
            const rank = id === '' ? -1 : this._rank(id);
            if (rank >= 0 || (id !== '' && this._record(id)?.kind === 'waiter')) this._leave(id);
            if (current === undefined && (memory.freeUntil ?? 0) <= this.now) window = this._handOn(fence);
            else if (rank === 0) this._tellHead(Math.max(this._remaining(), 0));
        }
        if (tombstone) this._bury(id);
        const already = holder !== '' && (memory.released ?? memory.releasedBefore) === holder;
        return { kind: ours ? 'released' : already ? 'already' : 'gone', handedOn: window };
    }

    renew({ holder, ttl }: { readonly holder: string; readonly ttl: number }): RenewReply {
        this._begin();
        if (this.key?.value !== holder) return 'gone';
        const longest = Math.max(ttl, this._remaining());
        this.key = { value: holder, expires: this.now + longest };
        if (this.memory?.value.kept !== undefined) this._keep(longest);
        return 'renewed';
    }

    inspect(): InspectReply {
        this._begin();
        const holder = this.key?.value;
        const memory: Memory = this.memory?.value ?? {};
        const waiters = this.queue.value.flatMap(({ id, ticket }) => {
            const record = this._record(id);
            if (record?.kind !== 'waiter' || record.lease <= this.now) return [];
            return [{ holder: record.holder, waited: Math.max(0, Math.floor((this.clock - ticket) / 1000)) }];
        });
        const foreign = holder !== undefined && holder !== memory.holder;
        return { holder, remaining: this._remaining(), fence: memory.fence ?? 0, foreign, clock: this.clock, waiters };
    }

    /** Drops what has expired. */
    private _begin(): void {
        this.published = [];
        if (this.key !== undefined && this.key.expires <= this.now) this.key = undefined;
        if (this.queue.expires <= this.now) this.queue = { value: [], expires: Infinity };
        if (this.waiters.expires <= this.now) this.waiters = { value: [], expires: Infinity };
        if (this.memory !== undefined && this.memory.expires <= this.now) this.memory = undefined;
    }

    /** PTTL: -2 absent, -1 without expiry. */
    private _remaining(): number {
        if (this.key === undefined) return -2;
        return this.key.expires === Infinity ? -1 : this.key.expires - this.now;
    }

    private _after(last: number | undefined): number {
        return Math.max((last ?? 0) + 1, this.clock);
    }

    /** The key is this holder's already. */
    private _extend(holder: string, id: string, ttl: number, spare: number): number {
        const memory: Memory = this.memory?.value ?? {};
        const left = this._remaining();
        this._leave(id);
        if (memory.holder !== holder || memory.fence === undefined) {
            const fence = this._after(memory.fence) + this._reserved(spare);
            this._hold(holder, id, Math.max(ttl, left), fence);
            return fence;
        }
        if (this.rules.takesOver && id !== memory.acquisition && this.memory !== undefined) {
            this._remember({ acquisition: id });
        }
        if (left < ttl) {
            this.key = { value: holder, expires: this.now + ttl };
            this._keep(ttl);
        }
        return memory.fence;
    }

    private _hold(holder: string, id: string, ttl: number, fence: number): void {
        this.key = { value: holder, expires: this.now + ttl };
        this._remember({ fence, holder, acquisition: id });
        this._keep(ttl);
    }

    /** Who released last, when it is certain that nobody waits and nobody gave up. Of a key that is held one looks less closely. */
    private _quiet(): string | undefined {
        const { released, releasedBefore, kept } = this.memory?.value ?? {};
        if (released !== undefined) return released;
        const isEmpty = this.queue.value.length + this.waiters.value.length === 0;
        return isEmpty && (kept === undefined || this.key === undefined) ? (releasedBefore ?? '') : undefined;
    }

    private _release(holder: string): void {
        const isMarked = this.memory?.value.released !== undefined;
        this._remember(isMarked ? { released: holder } : { releasedBefore: holder });
    }

    /** Somebody begins to wait, or is refused from now on. */
    private _unmark(): void {
        const { released, releasedBefore, ...others }: Memory = this.memory?.value ?? {};
        if (released === undefined || this.memory === undefined || !this.rules.unmarks) return;
        const last = released === '' ? releasedBefore : released;
        const { expires } = this.memory;
        this.memory = { value: last === undefined ? others : { ...others, releasedBefore: last }, expires };
    }

    private _remember(fields: Memory): void {
        const { value, expires = Infinity } = this.memory ?? {};
        this.memory = { value: { ...value, ...fields }, expires };
    }

    /** Beyond a lease that ends in so many ms; with some to spare. */
    private _keep(ttl: number): void {
        const needed = this.now + ttl + this.rules.memory;
        if (needed <= (this.memory?.value.kept ?? 0)) return;
        const kept = needed + this.rules.memory / 2;
        this.memory = { value: { ...this.memory?.value, kept }, expires: kept };
    }

    private _enqueue({ holder, id, ttl, spare }: Omit<AcquireCommand, 'wait'>, wait: Wait): number {
        this._unmark();
        const last = this.memory?.value.ticket;
        const asked = wait.ticket === 0 ? this.queue.value.find((place) => place.id === id)?.ticket : wait.ticket;
        const ticket = asked ?? this._after(last);
        if (ticket > (last ?? 0)) {
            this._remember({ ticket });
        }
        const others = this.queue.value.filter((place) => place.id !== id);
        const expires = this.now + this.rules.side;
        this.queue = { value: [...others, { id, ticket }].sort(byTicket), expires };
        const lease = this.now + this.rules.waiterLease;
        this._record(id, { kind: 'waiter', id, lease, ttl, spare, channel: wait.channel, holder });
        this.waiters = { value: this.waiters.value, expires };
        return ticket;
    }

    /** For how long the key is to be left free now, because it was handed on often enough in a row. */
    private _yields(rule: ReleaseCommand['yields']): number | undefined {
        if (rule === undefined || this.queue.value.length === 0) return undefined;
        const handOffs = (this.memory?.value.handOffs ?? 0) + 1;
        this._remember({ handOffs });
        if (handOffs <= rule.after) return undefined;
        this._remember({ handOffs: 0, freeUntil: this.now + rule.pause });
        this._tellHead(rule.pause);
        return rule.pause;
    }

    private _bury(id: string): void {
        this._unmark();
        this._record(id, { kind: 'tombstone', id, until: this.now + this.rules.side });
        let records = this.waiters.value;
        if (records.length % 64 === 0 && records.length > 2 * this.queue.value.length) {
            records = records.filter((record) => record.kind === 'waiter' || record.until >= this.now);
        }
        this.waiters = { value: records, expires: this.now + this.rules.side };
    }

    /** Reads, or writes, the field of an acquisition in the hash of waiters. */
    private _record(id: string, written?: WaiterRecord): WaiterRecord | undefined {
        const { value, expires } = this.waiters;
        if (written === undefined) return value.find((record) => record.id === id);
        this.waiters = { value: [...value.filter((record) => record.id !== id), written], expires };
        return written;
    }

    private _rank(id: string): number {
        return this.queue.value.findIndex((place) => place.id === id);
    }

    private _leave(id: string): void {
        this._dequeue(id);
        const left = this.waiters.value.filter((record) => record.id !== id);
        this.waiters = { value: left, expires: left.length === 0 ? Infinity : this.waiters.expires };
    }

    private _dequeue(id: string): void {
        const left = this.queue.value.filter((place) => place.id !== id);
        this.queue = { value: left, expires: left.length === 0 ? Infinity : this.queue.expires };
    }

    private _firstWaiter(): Waiting | undefined {
        for (;;) {
            const first = this.queue.value[0];
            if (first === undefined) return undefined;
            const record = this._record(first.id);
            if (record?.kind === 'waiter' && record.lease > this.now) return record;
            if (record?.kind === 'waiter') this._leave(first.id);
            else this._dequeue(first.id);
        }
    }

    private _reaches(channel: string, message: Message): boolean {
        if (channel === '') return true;
        if (!this.channels.includes(channel)) return false;
        this.published = [...this.published, { channel, message }];
        return true;
    }

    private _tellHead(taken: number, me?: string): void {
        for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
            if (first.id === me || this._reaches(first.channel, { kind: 'head', key: this.name, id: first.id, taken }))
                return;
            this._leave(first.id);
        }
    }

    /** Tells for how long the key was granted, if it was. */
    private _handOn(fence: number): number {
        const first = this._grant(fence);
        return first === undefined ? 0 : Math.min(first.ttl, this.rules.claimWindow);
    }

    private _reserved(spare: number): number {
        return this.rules.reserves ? spare : 0;
    }

    /** The key is absent. */
    private _grant(least: number, me?: string): Waiting | undefined {
        for (let first = this._firstWaiter(); first !== undefined; first = this._firstWaiter()) {
            const { id, holder, channel } = first;
            const fence = least + this._reserved(first.spare);
            this._leave(id);
            if (id === me) return first;
            const ttl = Math.min(first.ttl, this.rules.claimWindow);
            this._tellHead(ttl, me);
            if (this._reaches(channel, { kind: 'grant', key: this.name, id, ttl, fence })) {
                this._hold(holder, id, ttl, fence);
                return first;
            }
        }
        return undefined;
    }
}

/** As a sorted set orders: by score, equal ones by their bytes. */
function byTicket(one: Place, other: Place): number {
    return one.ticket - other.ticket || (one.id < other.id ? -1 : 1);
}
