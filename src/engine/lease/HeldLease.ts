import { checkTtl } from '../port/checks';
import { LockError, asError } from '../port/errors';
import type { LockMode } from '../port/LockStore';
import type { Clock } from '../time/Clock';
import { INSPECT, describe } from './describe';
import type { Lease } from './Lease';
import { TAKEN } from './LeasedKey';
import type { LeasedKey } from './LeasedKey';
import { errorOf, lost } from './leaseErrors';
import type { LeaseEnd, LeaseKeeper } from './LeaseKeeper';

type State =
    | { readonly kind: 'held' }
    /** `answer` is missing as long as the keeper is being told. */
    | { readonly kind: 'ended'; readonly end: LeaseEnd; answer: Promise<boolean> | undefined };

/** Of nearly every lease, so they share them. */
const HELD: State = { kind: 'held' };
const NO_MORE: readonly LeasedKey[] = [];

/**
 * held → ended, once: by `release`, by `handOver`, because the lock is closed, or because it is lost. It is lost when its deadline passes,
 * or when the store says that a key is not ours any more.
 */
export class HeldLease implements Lease {
    private _rest = NO_MORE;
    private _state: State = HELD;
    private _controller: AbortController | undefined;

    constructor(
        readonly keeper: LeaseKeeper,
        private readonly _clock: Clock,
        private readonly _first: LeasedKey,
        /** What the next renewal asks for. */
        public ttl: number,
    ) {}

    /** In sorted order of the keys. */
    get leased(): readonly [LeasedKey, ...LeasedKey[]] {
        return [this._first, ...this._rest];
    }

    /** Takes further keys, which are behind the others in sorted order. @param confirmed the store has them for the whole ttl. */
    add(more: readonly LeasedKey[], confirmed: boolean): void {
        this._rest = [...this._rest, ...more.map((one) => this.keeper.adopt(one))];
        this.keeper.extended(confirmed);
    }

    get key(): string {
        return this._first.key;
    }

    get keys(): readonly string[] {
        return this.leased.map(({ key }) => key);
    }

    get holder(): string {
        return this._first.holder;
    }

    holderOf(key: string): string | undefined {
        return this._leased(key)?.holder;
    }

    get fence(): number {
        return this._first.fence;
    }

    fenceOf(key: string): number | undefined {
        return this._leased(key)?.fence;
    }

    get mode(): LockMode {
        return this.leased.every(({ shared }) => shared === false) ? 'exclusive' : 'shared';
    }

    get permits(): number {
        return this._first.permits;
    }

    /** The first instant at which one of the keys is not ours. */
    get deadline(): number {
        let { deadline } = this._first;
        for (const one of this._rest) deadline = Math.min(deadline, one.deadline);
        return deadline;
    }

    get signal(): AbortSignal {
        // Made on demand: a controller takes more memory than all the rest.
        const controller = (this._controller ??= new AbortController());
        if (!this.isHeld() && !controller.signal.aborted) this._abort(controller);
        return controller.signal;
    }

    remaining(): number {
        return this.isHeld() ? this.deadline - this._clock.now() : 0;
    }

    isHeld(): boolean {
        if (this._state.kind === 'ended') return false;
        const { deadline } = this;
        if (this._clock.now() < deadline) return true;
        if (deadline === TAKEN) this.lose('was taken or deleted');
        else if (!this.keeper.mayBeRenewed()) this.lose('ran out');
        return false;
    }

    /** Whether it has ended. Else it is held, or that is not known yet. */
    isOver(): boolean {
        return !this.isHeld() && this._state.kind === 'ended';
    }

    /** Whether it is held, as soon as that is known: its deadline may have passed while the answer to a renewal was there, and not read. */
    async decided(): Promise<boolean> {
        while (!this.isHeld() && !this.isOver()) await this.keeper.answered();
        return this.isHeld();
    }

    assertHeld(): void {
        if (this.isHeld()) return;
        const { _state: state } = this;
        const unclear = 'may have run out: the answer to its renewal has not been read';
        throw this._thrown(state.kind === 'ended' ? errorOf(state.end, this) : lost(this, unclear));
    }

    async renew(ttl: number = this.ttl): Promise<void> {
        try {
            checkTtl(ttl, this.key);
            if (this.isOver()) this.assertHeld();
            await this.keeper.renew(ttl);
        } catch (error) {
            throw error instanceof LockError ? this._thrown(error) : error;
        }
    }

    async downgrade(): Promise<void> {
        try {
            if (this.isOver()) this.assertHeld();
            await this.keeper.downgrade();
        } catch (error) {
            throw error instanceof LockError ? this._thrown(error) : error;
        }
    }

    /** From now on its keys stay taken for so long, also when it is released. */
    hold(atLeast: number): void {
        const until = this._clock.now() + atLeast;
        for (const one of this.leased) one.keptUntil = Math.max(one.keptUntil ?? until, until);
    }

    release(): Promise<boolean> {
        return this.isOver() ? this._answer() : this._end({ kind: 'released' });
    }

    handOver(): string {
        this.assertHeld();
        this.leave();
        return this.holder;
    }

    /** Hands it over, also if its deadline has passed since it was looked at: of several leases all are handed over, or none. */
    leave(): void {
        if (this._state.kind === 'held') void this._end({ kind: 'handed over' });
    }

    async [Symbol.asyncDispose](): Promise<void> {
        // It must not replace an error of the block; the observer was told, and the release is retried.
        await this.release().catch(() => false);
    }

    [INSPECT](): string {
        return describe(this);
    }

    /** Ends the lease without our wish. */
    lose(how: string): void {
        if (this._state.kind === 'ended') return;
        void this._end({ kind: 'lost', error: lost(this, how, this.keeper.failure) });
    }

    /** Releases the lease because the lock is closed. Its signal aborts: the work under it is told. */
    close(): Promise<boolean> {
        return this.isOver() ? this._answer() : this._end({ kind: 'closed' });
    }

    private _end(end: LeaseEnd): Promise<boolean> {
        const state: State = { kind: 'ended', end, answer: undefined };
        // First, so that a caller that is told of the end finds it ended.
        this._state = state;
        try {
            state.answer = this.keeper.ended(end);
        } catch (error) {
            // The store threw. A second call is told, too.
            state.answer = Promise.reject(asError(error));
            state.answer.catch(() => undefined);
        }
        if (this._controller !== undefined) this._abort(this._controller);
        return state.answer;
    }

    private _answer(): Promise<boolean> {
        if (this._state.kind === 'ended' && this._state.answer !== undefined) return this._state.answer;
        // The keeper tells the observer, who asks before the keeper has returned.
        return Promise.resolve().then(() => this._answer());
    }

    /** Tells the work under the lease, if the lease ended without its wish. */
    private _abort(controller: AbortController): void {
        if (this._state.kind === 'held') return;
        const { end } = this._state;
        if (end.kind === 'lost' || end.kind === 'closed') controller.abort(this._thrown(errorOf(end, this)));
    }

    private _thrown(error: LockError): Error {
        return this.keeper.exceptionOf(error);
    }

    private _leased(key: string): LeasedKey | undefined {
        return this.leased.find((one) => one.key === key);
    }
}
