import type { RecycledMap } from '../collections/RecycledMap';
import type { LockError } from '../port/errors';
import type {
    AcquireAnswer,
    Busy,
    Callback,
    GiveUpRequest,
    Granted,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
} from '../port/LockStore';
import type { ReservedGrant, ReservingRequest } from '../port/ReservingRequest';
import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import type { Due, TimerHeap } from '../time/TimerHeap';
import { answerBehind } from './answerBehind';
import { Place } from './Place';
import type { ReservedMessage } from './Place';
import { Turn } from './Turn';
import type { UnreleasedTurns } from './UnreleasedTurns';

/** What the lines of a process have in common. */
export interface LineParts {
    readonly store: LockStore;
    readonly clock: Clock;
    /** How often in a row a key is passed on. */
    readonly passes: number;
    /** By those who wait, or try. */
    readonly byId: RecycledMap<Line>;
    /** By the holders of turns. */
    readonly byHolder: RecycledMap<Line>;
    /** Of those that have a turn. */
    readonly queue: TimerHeap<Line>;
    readonly unreleased: UnreleasedTurns;
    /** One that waits is to ask at once. */
    readonly wake: (key: string, id: string) => void;
    /** Nobody needs the line any more. */
    readonly emptied: (line: Line) => void;
}

/**
 * The callers of this process who want one key with one ttl, in the order in which they came. The first of those who wait has a place
 * in line at the store, or takes the turn that is passed on. A line is due when its turn runs out.
 */
export class Line implements Due {
    place = -1;
    private readonly _waiting = new Set<string>();
    /** Acquisitions whose plain try is under way. */
    private readonly _tries = new Set<string>();
    private _atStore: Place | undefined;
    private _turn: Turn | undefined;

    constructor(
        private readonly _parts: LineParts,
        readonly name: string,
        readonly key: string,
        readonly ttl: number,
    ) {}

    /** One attempt, without a place in line. */
    try(id: string, callback: Callback<AcquireAnswer>): void {
        const { byId, passes: spare, store } = this._parts;
        const { key, ttl } = this;
        if (this._waiting.size > 0) {
            callback(this._answerFor(id));
            return;
        }
        this._tries.add(id);
        byId.set(id, this);
        const asked: ReservingRequest = { key, id, ttl, ticket: undefined, spare };
        store.acquire(asked, (answer) => {
            const late = !this._tries.delete(id);
            if (!late) byId.delete(id);
            const granted = !late && !(answer instanceof Error) && answer.kind === 'granted';
            callback(granted ? this._take(this._begin(id, answer), id) : answer);
            this._tidy();
        });
    }

    /** An attempt of one that waits, or begins to. */
    acquire(id: string, callback: Callback<AcquireAnswer>): void {
        const { byId, clock } = this._parts;
        const came = !this._waiting.has(id);
        if (came) {
            this._waiting.add(id);
            byId.set(id, this);
        }
        const { _turn: turn } = this;
        // With a place in line at the store, the first is served there.
        const here = this._atStore === undefined && turn !== undefined && turn.deadline > clock.now();
        if (this._first !== id || (here && !turn.isFree)) this._answer(id, callback, came);
        else if (here) callback(this._take(turn, id));
        else this._ask(id, callback, came);
    }

    /** The lease that has the turn ends. @returns whether the turn is passed on; else the store is to release it. */
    pass({ buried, keptUntil = 0 }: ReleaseRequest, callback: Callback<ReleaseAnswer>): boolean {
        const now = this._parts.clock.now();
        // One that lost sight of an attempt has something to bury, and only the store can do that. What stays taken is not passed on.
        const isLast = buried !== undefined || keptUntil > now;
        const isWanted = this._atStore === undefined && this._waiting.size > 0 && !isLast;
        if (!isWanted || this._turn?.pass(now) !== true) return false;
        // The lease that ends has ended when the next begins.
        inMicrotask(() => {
            callback('released');
            this._wake();
        });
        return true;
    }

    /** The lease that has the turn was renewed, or is gone. */
    renewed(answer: RenewAnswer): void {
        if (this._turn === undefined) return;
        if (answer.kind === 'gone') this.over();
        else {
            this._turn.deadline = Math.max(this._turn.deadline, answer.deadline);
            this._parts.queue.set(this, this._turn.deadline);
        }
    }

    /** We have the key no longer, or do not know: the next asks the store. */
    over(): void {
        this._end();
        if (this._atStore === undefined) this._wake();
        this._tidy();
    }

    /** One that waits, or tries, is told that it was granted the key. */
    granted(id: string, message: ReservedMessage): void {
        const { _atStore: place } = this;
        if (place?.id === id && place.heard(message)) this._trustGrant(place, message);
    }

    /** Somebody waits no longer. */
    leave(request: GiveUpRequest): Promise<ReleaseAnswer> {
        const { byId, store, unreleased } = this._parts;
        const { id, underWay } = request;
        byId.delete(id);
        if (this._tries.delete(id)) return store.giveUp(request);
        // What is granted to it, or may be, is ended by the store.
        if (this._turn?.isFree === true && this._turn.id === id && underWay) this._end();
        const isKnown = this._atStore?.id === id || underWay;
        const free = this._drop(id);
        if (free !== undefined) return unreleased.giveBack(free, request);
        return isKnown ? store.giveUp(request) : Promise.resolve('gone');
    }

    private get _first(): string | undefined {
        for (const id of this._waiting) return id;
        return undefined;
    }

    private _answer(id: string, callback: Callback<AcquireAnswer>, came: boolean): void {
        const answer = this._answerFor(id);
        // It may end without giving up what it never had. One that was told to wait keeps its place until it gives it up.
        if (came && answer instanceof Error) this._drop(id);
        callback(answer);
    }

    private _answerFor(id: string): Busy | LockError {
        const { _atStore: place, _turn: turn, key } = this;
        const others = this._waiting.size - 1;
        return answerBehind({
            key,
            id,
            isFirst: this._first === id,
            others,
            turn,
            place,
            now: this._parts.clock.now(),
        });
    }

    /**
     * Asks the store for the first who waits.
     *
     * @param came it is the first attempt. When it fails and nothing can be left of it, nobody may come and give it up.
     */
    private _ask(id: string, callback: Callback<AcquireAnswer>, came: boolean): void {
        const { clock, passes: spare, store } = this._parts;
        const { _atStore: before, key, ttl } = this;
        const place = before?.id === id ? before : new Place(id, before?.ticket ?? 0);
        this._atStore = place;
        place.asks();
        // One that had to wait for others of this process, or that others wait behind, is worth a reservation.
        const contended = !came || this._waiting.size > 1;
        const asked: ReservingRequest = { key, id, ttl, ticket: place.ticket, spare, contended };
        store.acquire(asked, (answer) => {
            place.answered(answer);
            if (answer instanceof Error) {
                if (came && !answer.unknown && this._waiting.has(id)) this._drop(id);
                callback(answer);
            } else if (answer.kind === 'granted') {
                // One that has left meanwhile has given it up. One that hears of the grant too late asks again.
                const late = !this._waiting.has(id) || answer.deadline <= clock.now();
                callback(late ? answer : this._take(this._begin(id, place.reservedBy(answer)), id));
            } else {
                const message = place.takeMessage();
                if (message !== undefined && this._atStore === place) this._trustGrant(place, message);
                callback(answer);
            }
        });
    }

    /** A turn begins without asking if the message can be relied on. Else the first asks. */
    private _trustGrant(place: Place, message: ReservedMessage): void {
        const granted = place.grantBy(message, this.ttl, this._parts.clock.now());
        if (this._waiting.has(place.id) && granted !== undefined) this._begin(place.id, granted).isFree = true;
        this._wake();
    }

    private _begin(id: string, granted: ReservedGrant): Turn {
        const { byHolder, clock, queue } = this._parts;
        this._end();
        const turn = new Turn(id, granted, this.ttl, clock.now());
        this._turn = turn;
        if (this._atStore?.id === id) this._atStore = undefined;
        byHolder.set(turn.holder, this);
        queue.set(this, turn.deadline);
        return turn;
    }

    private _end(): void {
        if (this._turn === undefined) return;
        this._parts.byHolder.delete(this._turn.holder);
        this._turn = undefined;
        this._parts.queue.delete(this);
    }

    /** A lease begins. */
    private _take(turn: Turn, id: string): Granted {
        turn.isFree = false;
        this._waiting.delete(id);
        this._parts.byId.delete(id);
        return turn.granted;
    }

    /** What was meant for one who waits no longer goes to the next, or to those at the store. @returns a turn to be released. */
    private _drop(id: string): Turn | undefined {
        const { _atStore: place, _first: first, _turn: turn } = this;
        this._waiting.delete(id);
        this._parts.byId.delete(id);
        if (this._waiting.size > 0) {
            if (first === id && (turn === undefined || turn.isFree || place !== undefined)) this._wake();
            return undefined;
        }
        this._atStore = undefined;
        const free = turn?.isFree === true ? turn : undefined;
        if (free !== undefined) this._end();
        this._tidy();
        return free;
    }

    /** The first who waits is to ask at once. */
    private _wake(): void {
        const { _first: first } = this;
        if (first !== undefined) this._parts.wake(this.key, first);
    }

    private _tidy(): void {
        if (this._turn === undefined && this._waiting.size === 0 && this._tries.size === 0) this._parts.emptied(this);
    }
}
