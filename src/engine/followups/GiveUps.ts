import { isTemporary } from '../port/errors';
import type { LockError } from '../port/errors';
import type { GiveUpRequest, LockStore, ReleaseAnswer, ReleaseRequest } from '../port/LockStore';
import type { Clock, Timer } from '../time/Clock';
import { OwnerReleases } from './OwnerReleases';

/** What must not be left behind: a key that may be ours, or a place in line. */
interface Leftover {
    /** Performs the step that removes it. */
    readonly remove: (answered: (answer: ReleaseAnswer | LockError) => void) => void;
    /** How long it lasts once it has come about, ms. */
    readonly lasts: number;
    /** By then it has run out by itself. */
    until: number;
    /** A step that has no answer yet may bring it about, or lengthen it. */
    readonly mayArrive: boolean;
    /** A key under a holder that the caller has chosen. */
    readonly owned: { readonly key: string; readonly holder: string } | undefined;
}

/**
 * The pause between two tries, ms. The first is short beside the leases that keep others waiting for the key, and long beside a
 * connection that is made anew. It doubles up to the last: a server that is away for long is not asked by thousands of them all the time.
 */
const FIRST_PAUSE = 250;
const LAST_PAUSE = 2000;

/** At most this many are kept while the store does not answer; then the oldest is dropped and runs out by itself. */
const MOST = 100_000;

/**
 * Gives back in the background what nobody waits for: attempts whose outcome is unknown, waiters that left, leases that
 * ended while the store was silent. Each is retried, whatever it failed with, until it is answered or has run out by itself.
 *
 * A server that hangs may perform what it was sent before at any later time. So while it does not answer, there is no end to what an
 * attempt of before may bring about.
 */
export class GiveUps {
    readonly owners = new OwnerReleases();
    private _underWay = 0;
    /** Called when the last try that was under way has been answered. */
    private _idle: (() => void) | undefined;
    private _later: Leftover[] = [];
    private _pause = FIRST_PAUSE;
    private _timer: Timer | undefined;
    private _closed = false;

    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _most = MOST,
    ) {}

    /** How many are to be retried. */
    get size(): number {
        return this._later.length;
    }

    /** Gives up an acquisition. @param until by then it has run out by itself, if no attempt arrives later. */
    giveUp(request: GiveUpRequest, until: number): void {
        const remove: Leftover['remove'] = (answered) => {
            this._store.giveUp(request).then(answered, answered);
        };
        this._begin(remove, until, request.underWay);
    }

    /** Has the store refuse what arrives of an acquisition later. @param until by then what arrives later has run out by itself. */
    bury(key: string, id: string, until: number): void {
        // No key holds an id as it is: nothing is released.
        this._begin((answered) => this._store.release({ key, holder: id, buried: id }, answered), until, true);
    }

    /**
     * Gives a key back.
     *
     * @param until     by then it has run out by itself, if no renewal arrives later.
     * @param mayArrive a renewal had no answer: it may arrive later.
     */
    release(request: ReleaseRequest, until: number, mayArrive = false): void {
        if (request.id === undefined) {
            this._begin((answered) => this._store.release(request, answered), until, mayArrive);
            return;
        }
        // What was sent before may arrive later, and so may each try: they would end the owner's next lease, too.
        const owned = { ...request, buried: request.buried ?? request.id };
        this.owners.begin(owned.key, owned.holder);
        this._begin((answered) => this._store.release(owned, answered), until, mayArrive, owned);
    }

    /** The store can be reached again: retries all of them now. */
    retry(): void {
        this._timer?.cancel();
        this._pause = FIRST_PAUSE;
        this._again();
    }

    /** Settles when every try that is under way has been answered; tries no more after that. */
    async close(): Promise<void> {
        this._closed = true;
        this._timer?.cancel();
        this._later = [];
        if (this._underWay > 0) await new Promise<void>((resolve) => (this._idle = resolve));
    }

    private _begin(remove: Leftover['remove'], until: number, mayArrive: boolean, owned?: Leftover['owned']): void {
        this._try({ remove, lasts: until - this._clock.now(), until, mayArrive, owned });
    }

    private _try(leftover: Leftover): void {
        if (this._closed) return;
        this._underWay += 1;
        leftover.remove((answer) => {
            this._underWay -= 1;
            if (answer instanceof Error) this._failed(leftover, answer);
            else {
                this._pause = FIRST_PAUSE;
                this._over(leftover);
            }
            if (this._underWay === 0) this._idle?.();
        });
    }

    private _failed(leftover: Leftover, error: LockError): void {
        const now = this._clock.now();
        // The server was not heard: what it was sent before may take effect as late as now.
        if (leftover.mayArrive && isTemporary(error)) leftover.until = now + leftover.lasts;
        if (this._closed || now + this._pause >= leftover.until) {
            this._over(leftover);
            return;
        }
        this._later.push(leftover);
        const dropped = this._later.length > this._most ? this._later.shift() : undefined;
        if (dropped !== undefined) this._over(dropped);
        const { owned } = leftover;
        if (owned !== undefined) this.owners.failed(owned.key, owned.holder, error);
        this._timer ??= this._clock.timer(this._pause, () => this._again());
    }

    private _over({ owned }: Leftover): void {
        if (owned !== undefined) this.owners.end(owned.key, owned.holder);
    }

    private _again(): void {
        this._timer = undefined;
        this._pause = Math.min(2 * this._pause, LAST_PAUSE);
        // All in one turn: the store sends them in one command.
        for (const leftover of this._later.splice(0)) this._try(leftover);
    }
}
