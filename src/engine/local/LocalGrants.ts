import type { Clock } from '../time/Clock';
import { inMicrotask } from '../time/hostTime';
import { TimerHeap } from '../time/TimerHeap';
import type { Due } from '../time/TimerHeap';
import type { LockError } from '../port/errors';
import type {
    AcquireAnswer,
    AcquireRequest,
    Asker,
    Busy,
    Granted,
    LockInfo,
    LockStore,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
    Renewal,
    StoreListener,
} from '../port/LockStore';
import { RecycledMap } from '../collections/RecycledMap';
import { deadlineByMessage } from '../port/validity';
import type { GrantMessage } from '../port/validity';

/** What must be left of a grant for the next lease to begin with is half of this, or of the ttl: time to renew it, ms. */
const WINDOW = 2000;

/** Our place in line at the store: that of the first of those who wait here. */
interface Place {
    readonly id: string;
    /** As drawn for this acquisition, or for one before it, which has left: the place is the process's. */
    ticket: number;
    /** The last answer; undefined: none yet, or the last attempt has failed. */
    busy: Busy | undefined;
    asking: boolean;
    /** What came while an attempt was under way. */
    message: GrantMessage | undefined;
}

/** A grant of the store, which several leases may have in a row. */
interface Turn {
    readonly holder: string;
    readonly id: string;
    /** Of the lease that has it, or is to have it. */
    fence: number;
    /** How often it may still be passed on, and until when. */
    passes: number;
    readonly until: number;
    deadline: number;
    /** No lease has it yet: it is that of the first who waits. */
    free: boolean;
    /** Less than the ttl is left of it. */
    brief: boolean;
}

/** A turn that is over, and is to be given back in the step with which the next asks for the key. */
interface Exchange {
    readonly holder: string;
    readonly asker: Asker<ReleaseAnswer>;
}

/** One key, as far as it is asked for with one ttl. It is due when its turn runs out. */
class Line implements Due {
    place = -1;
    /** Who waits, in the order in which they came: acquisition and holder. */
    readonly waiting = new Map<string, string>();
    inLine: Place | undefined;
    turn: Turn | undefined;
    exchange: Exchange | undefined;
    /** Plain tries that are under way. */
    tries = 0;

    constructor(
        readonly name: string,
        readonly key: string,
        readonly ttl: number,
    ) {}

    get first(): string | undefined {
        for (const id of this.waiting.keys()) return id;
        return undefined;
    }
}

/**
 * A store in front of another: those of one process who wait for a key have one place in line there, that of the first of
 * them, and a key that the process has is passed on among them so many times in a row without asking the store, and no
 * longer than a third of the ttl. (Dice, Marathe and Shavit, "Lock Cohorting", with a process for a NUMA node.)
 *
 * The fences of these leases are reserved with the grant, so that they rise strictly. In the store they all have the holder
 * of the first: each ends before the next begins, and none outlives what the store was last heard to promise.
 */
export class LocalGrants implements LockStore {
    /** By ttl and key. */
    private readonly _lines = new Map<string, Line>();
    /** By those who wait, and by the holders of turns. */
    private readonly _lineOf = new RecycledMap<Line>();
    private readonly _turns = new RecycledMap<Line>();
    private readonly _queue: TimerHeap<Line>;
    private _listener: StoreListener | undefined;

    /** @param _passes how often in a row a key is passed on. */
    constructor(
        private readonly _store: LockStore,
        private readonly _clock: Clock,
        private readonly _passes: number,
    ) {
        this._queue = new TimerHeap(_clock, (line) => this._over(line));
    }

    /** How many keys it knows, one for each ttl. */
    get size(): number {
        return this._lines.size;
    }

    get confirmsGrants(): boolean {
        return this._store.confirmsGrants === true;
    }

    get wakes(): boolean {
        return this._store.wakes;
    }

    open(listener: StoreListener): Promise<void> {
        this._listener = listener;
        return this._store.open({
            granted: (key, id, fence, ttl) => this._onGrant(key, id, { fence, ttl }),
            first: (key, id, remaining) => listener.first(key, id, remaining),
            handedOn: (key, window) => listener.handedOn(key, window),
            changed: (key) => listener.changed(key),
            reconnected: () => listener.reconnected(),
            disconnected: (error) => listener.disconnected(error),
            recovered: (message) => listener.recovered(message),
            warned: (message) => listener.warned(message),
        });
    }

    close(): Promise<void> {
        this._queue.clear();
        return this._store.close();
    }

    acquire(request: AcquireRequest, asker: Asker<AcquireAnswer>): void {
        if (request.passable !== true) {
            this._store.acquire(request, asker);
            return;
        }
        const { key, ttl, id, holder, ticket } = request;
        const line = this._line(key, ttl);
        if (ticket === undefined) {
            this._try(line, request, asker);
            return;
        }
        const came = !line.waiting.has(id);
        if (came) {
            line.waiting.set(id, holder);
            this._lineOf.set(id, line);
        }
        const { turn } = line;
        // Who stands in line at the store is served there.
        const here = line.inLine === undefined && turn !== undefined && turn.deadline > this._clock.now();
        if (line.first !== id || (here && !turn.free)) asker.answered(this._busy(line, id));
        else if (here) asker.answered(this._take(line, turn, id));
        else this._ask(line, request, asker, came);
    }

    async renew(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const answer = await this._store.renew(key, holder, ttl);
        this._renewed(key, holder, answer);
        return answer;
    }

    renewAll(renewals: readonly Renewal[]): void {
        this._store.renewAll(
            renewals.map((renewal) => {
                const { key, holder, ttl } = renewal;
                const answered = (answer: RenewAnswer | LockError): void => {
                    if (!(answer instanceof Error)) this._renewed(key, holder, answer);
                    renewal.answered(answer);
                };
                return { key, holder, ttl, answered };
            }),
        );
    }

    release(request: ReleaseRequest, asker: Asker<ReleaseAnswer>): void {
        const { key, holder, id } = request;
        const line = this._turns.get(holder);
        const turn = line?.turn;
        if (line === undefined || turn === undefined || line.key !== key) {
            this._store.release(request, asker);
            return;
        }
        const left = turn.deadline - this._clock.now();
        const wanted = id === turn.id && line.inLine === undefined && line.waiting.size > 0;
        const enough = left >= Math.min(line.ttl, WINDOW) / 2;
        if (wanted && enough && turn.passes > 0 && this._clock.now() < turn.until) {
            turn.passes -= 1;
            turn.fence += 1;
            turn.free = true;
            turn.brief = true;
            // The lease that ends has ended when the next begins.
            inMicrotask(() => {
                asker.answered('released');
                this._wake(line);
            });
        } else if (wanted && this._store.exchanges === true) {
            line.exchange = { holder, asker };
            this._over(line);
        } else {
            this._store.release(request, asker);
            this._over(line);
        }
    }

    giveUp(key: string, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer> {
        const waits = this._lineOf.get(id);
        if (waits?.key === key) return this._leave(waits, holder, id, underWay);
        const answer = this._store.giveUp(key, holder, id, underWay);
        const has = this._turns.get(holder);
        if (has?.key === key && has.turn?.id === id) this._over(has);
        return answer;
    }

    handOn(key: string): Promise<void> {
        return this._store.handOn(key);
    }

    handedOver(key: string, holder: string): void {
        const line = this._turns.get(holder);
        if (line?.key === key) this._over(line);
    }

    inspect(key: string): Promise<LockInfo> {
        return this._store.inspect(key);
    }

    list(pattern: string): AsyncIterable<LockInfo> {
        return this._store.list(pattern);
    }

    watch(key: string, holder: string): Promise<boolean> {
        return this._store.watch(key, holder);
    }

    private _line(key: string, ttl: number): Line {
        const name = `${ttl} ${key}`;
        let line = this._lines.get(name);
        if (line === undefined) this._lines.set(name, (line = new Line(name, key, ttl)));
        return line;
    }

    /**
     * Asks the store for the first who waits, or for what is to come after an exchange.
     *
     * @param came it is the first attempt: when that fails, nobody waits, and it is given up only if something may be left of it.
     */
    private _ask(line: Line, request: AcquireRequest, asker: Asker<AcquireAnswer>, came: boolean): void {
        const { key, id, holder, ttl } = request;
        const { inLine, exchange } = line;
        const ticket = inLine?.ticket ?? 0;
        const place = inLine?.id === id ? inLine : { id, ticket, busy: undefined, asking: false, message: undefined };
        line.inLine = place;
        line.exchange = undefined;
        place.asking = true;
        const answered = (answer: AcquireAnswer | LockError): void => {
            const failed = answer instanceof Error;
            if (exchange !== undefined) this._exchanged(key, exchange, answer);
            place.asking = false;
            place.busy = undefined;
            if (failed) {
                if (came && line.waiting.has(id)) this._drop(line, id);
                asker.answered(answer);
            } else if (answer.kind === 'granted') {
                // Whoever has left meanwhile has given it up; who hears of it too late asks again.
                const late = !line.waiting.has(id) || answer.deadline <= this._clock.now();
                asker.answered(late ? answer : this._take(line, this._begin(line, holder, id, answer), id));
            } else {
                place.busy = answer;
                place.ticket = answer.ticket;
                const { message } = place;
                place.message = undefined;
                if (message !== undefined && line.inLine === place) this._trustGrant(line, place, message);
                asker.answered(answer);
            }
        };
        const asked = { key, holder, id, ttl, ticket, spare: this._passes, before: exchange?.holder };
        this._store.acquire(asked, { answered });
    }

    private _exchanged(key: string, { asker, holder }: Exchange, answer: AcquireAnswer | LockError): void {
        if (!(answer instanceof Error)) asker.answered(answer.released === true ? 'released' : 'gone');
        // Whoever asked had given up before: that is nothing to the one that releases.
        else if (!answer.unknown) this._store.release({ key, holder }, asker);
        else asker.answered(answer);
    }

    private _try(line: Line, request: AcquireRequest, asker: Asker<AcquireAnswer>): void {
        const { key, id, holder, ttl } = request;
        if (line.waiting.size > 0) {
            asker.answered(this._busy(line, id));
            return;
        }
        line.tries += 1;
        const answered = (answer: AcquireAnswer | LockError): void => {
            line.tries -= 1;
            const granted = !(answer instanceof Error) && answer.kind === 'granted';
            asker.answered(granted ? this._take(line, this._begin(line, holder, id, answer), id) : answer);
            this._tidy(line);
        };
        this._store.acquire({ key, holder, id, ttl, ticket: undefined, spare: this._passes }, { answered });
    }

    /** Somebody of this process is told that it was granted the key. */
    private _onGrant(key: string, id: string, message: GrantMessage): void {
        const line = this._lineOf.get(id);
        if (line === undefined) this._listener?.granted(key, id, message.fence, message.ttl);
        else if (line.key === key && line.inLine?.id === id) {
            if (line.inLine.asking) line.inLine.message = message;
            else this._trustGrant(line, line.inLine, message);
        }
    }

    /** It begins without asking if the message can be relied on, else it asks. */
    private _trustGrant(line: Line, { id, busy }: Place, message: GrantMessage): void {
        const holder = line.waiting.get(id);
        const deadline = busy === undefined ? undefined : deadlineByMessage(message, busy, this._clock.now());
        if (holder !== undefined && deadline !== undefined) {
            const turn = this._begin(line, holder, id, { fence: message.fence, deadline });
            turn.free = true;
            turn.brief = true;
        }
        this._wake(line);
    }

    private _begin(line: Line, holder: string, id: string, { fence, deadline }: Omit<Granted, 'kind'>): Turn {
        this._end(line);
        const turn: Turn = {
            holder,
            id,
            deadline,
            fence: fence - this._passes,
            passes: this._passes,
            until: this._clock.now() + line.ttl / 3,
            free: false,
            brief: false,
        };
        line.turn = turn;
        if (line.inLine?.id === id) line.inLine = undefined;
        this._turns.set(holder, line);
        this._queue.set(line, deadline);
        return turn;
    }

    private _renewed(key: string, holder: string, answer: RenewAnswer): void {
        const line = this._turns.get(holder);
        if (line?.key !== key || line.turn === undefined) return;
        if (answer.kind === 'gone') this._over(line);
        else {
            line.turn.deadline = Math.max(line.turn.deadline, answer.deadline);
            this._queue.set(line, line.turn.deadline);
        }
    }

    /** A lease begins. */
    private _take(line: Line, turn: Turn, id: string): Granted {
        turn.free = false;
        line.waiting.delete(id);
        this._lineOf.delete(id);
        const { fence, deadline, holder } = turn;
        return turn.brief
            ? { kind: 'granted', fence, deadline, passed: { holder, id: turn.id } }
            : { kind: 'granted', fence, deadline };
    }

    /** Somebody waits no longer. */
    private _leave(line: Line, holder: string, id: string, underWay: boolean): Promise<ReleaseAnswer> {
        const asked = line.inLine?.id === id;
        const answer = asked ? this._store.giveUp(line.key, holder, id, underWay) : Promise.resolve('gone' as const);
        this._drop(line, id);
        return answer;
    }

    /** What was meant for one who waits no longer goes to the next, or to those at the store. */
    private _drop(line: Line, id: string): void {
        const { key, first, inLine, turn, exchange } = line;
        line.waiting.delete(id);
        this._lineOf.delete(id);
        if (line.waiting.size > 0) {
            if (first === id && (turn === undefined || turn.free || inLine !== undefined)) this._wake(line);
            return;
        }
        line.inLine = undefined;
        line.exchange = undefined;
        if (exchange !== undefined) this._store.release({ key, holder: exchange.holder }, exchange.asker);
        if (turn?.free === true) {
            this._end(line);
            // Where this fails, it runs out.
            this._store.release({ key, holder: turn.holder }, { answered: () => undefined });
        }
        this._tidy(line);
    }

    /** We have the key no longer, or do not know: the next asks the store. */
    private _over(line: Line): void {
        this._end(line);
        if (line.inLine === undefined) this._wake(line);
        this._tidy(line);
    }

    private _end(line: Line): void {
        if (line.turn === undefined) return;
        this._turns.delete(line.turn.holder);
        line.turn = undefined;
        this._queue.delete(line);
    }

    /** The first who waits is to ask at once. */
    private _wake({ key, first }: Line): void {
        if (first !== undefined) this._listener?.granted(key, first, 0, 0);
    }

    private _tidy({ name, turn, waiting, tries }: Line): void {
        if (turn === undefined && waiting.size === 0 && tries === 0) this._lines.delete(name);
    }

    private _busy(line: Line, id: string): Busy {
        const { turn, inLine, waiting } = line;
        const sentAt = this._clock.now();
        const before = inLine?.busy;
        const until = turn?.deadline ?? (before === undefined ? sentAt : before.sentAt + before.remaining);
        return {
            kind: 'busy',
            sentAt,
            fence: 0,
            ticket: 0,
            foreign: false,
            remaining: Math.max(until - sentAt, 0),
            rank: line.first === id ? 0 : waiting.size - 1 + (before?.rank ?? 0),
            holder: turn?.holder ?? before?.holder ?? '',
        };
    }
}
