import { LockError } from '../../../src/engine/port/errors';
import type { LockErrorCode } from '../../../src/engine/port/errors';
import { nameOf, readHolder } from '../../../src/engine/port/holder';
import type {
    AcquireAnswer,
    Busy,
    Callback,
    GiveUpRequest,
    LockInfo,
    ReleaseAnswer,
    ReleaseRequest,
    RenewAnswer,
} from '../../../src/engine/port/LockStore';
import { READER, holding, promised, waiterOf } from '../../../src/engine/port/LockStore';
import { CLAIM_WINDOW, SHARED } from '../../../src/engine/port/protocol';
import type { NodeListener, ReservingRequest } from '../../../src/engine/port/ReservingRequest';
import { deadlineOf } from '../../../src/engine/port/validity';
import type { QuorumNode } from '../../../src/engine/quorum/QuorumNode';
import type { VirtualClock } from '../../fixtures/VirtualClock';

interface Waiter {
    readonly id: string;
    readonly ttl: number;
    readonly ticket: number;
    readonly shared: boolean;
    readonly link: MemoryLink;
}

/** One of those who share a key. */
interface Sharer {
    /** Attempt and fence. */
    value: string;
    ends: number;
}

/** One lock on a node. */
class Lock {
    value: string | undefined;
    expires = 0;
    /** By the names of their acquisitions. They count only while the value says that the key is shared. */
    sharers = new Map<string, Sharer>();
    line: Waiter[] = [];
    readonly buried = new Set<string>();
}

/** A node in memory: what the scripts of a node do, in short. */
export class MemoryNode {
    /** The greatest fence or ticket given so far. */
    clockValue = 0;
    /** How far its time is ahead of ours, ms. */
    ahead = 0;
    /** What it refuses all commands with. */
    refusal: LockErrorCode | undefined;
    private _locks = new Map<string, Lock>();

    constructor(readonly clock: VirtualClock) {}

    get time(): number {
        return Math.floor((this.clock.now() + this.ahead) * 1000);
    }

    /** What the key holds. */
    get(key: string): string | undefined {
        return this.lock(key).value;
    }

    /** Another program writes the key. */
    set(key: string, value: string, ttl: number): void {
        const lock = this.lock(key);
        lock.value = value;
        lock.expires = this.clock.now() + ttl;
    }

    delete(key: string): void {
        this.lock(key).value = undefined;
    }

    /** The names of those that wait. */
    line(key: string): string[] {
        return this.lock(key).line.map(({ id }) => nameOf(id));
    }

    /** It is started again, empty. */
    restart(): void {
        this._locks = new Map();
        this.clockValue = 0;
    }

    get keys(): string[] {
        return [...this._locks.keys()].filter((key) => this.get(key) !== undefined);
    }

    lock(key: string): Lock {
        const lock = this._locks.get(key) ?? new Lock();
        this._locks.set(key, lock);
        if (lock.value !== SHARED) lock.sharers.clear();
        else this._sweep(lock, ({ ends }) => ends <= this.clock.now());
        if (lock.value !== undefined && lock.expires <= this.clock.now()) lock.value = undefined;
        return lock;
    }

    acquire(request: ReservingRequest, sentAt: number, link: MemoryLink): AcquireAnswer {
        const { hint = 0, id, key, ticket, ttl } = request;
        const shared = request.share !== undefined;
        const lock = this.lock(key);
        const name = acquisitionOf(id);
        if (lock.buried.has(name)) throw new LockError('LOCK_ABORTED', 'It was given up.', { key });
        const own = shared ? lock.sharers.get(name)?.value : lock.value;
        const attempt = attemptOf(own);
        if (own !== undefined && acquisitionOf(attempt) === name) {
            if (numberOf(attempt) > numberOf(id)) throw new LockError('LOCK_ABORTED', 'It is an old attempt.', { key });
            const fence = attempt === id ? Number(own.slice(id.length)) : this._draw(hint);
            const ends = shared ? (lock.sharers.get(name)?.ends ?? 0) : lock.expires;
            this._give(lock, id + String(fence), Math.max(ttl, ends - this.clock.now()), shared);
            return this._granted(id, fence, sentAt, ttl);
        }
        const place = lock.line.find((one) => one.id === name);
        const first = lock.line[0];
        if (fits(lock, shared) && (first === undefined || first === place)) {
            lock.line = lock.line.filter((one) => one !== place);
            const fence = this._draw(hint);
            this._give(lock, id + String(fence), ttl, shared);
            return this._granted(id, fence, sentAt, ttl);
        }
        const asked = ticket === undefined ? 0 : (place?.ticket ?? (ticket > 0 ? ticket : this._draw(0)));
        if (ticket !== undefined && place === undefined) {
            lock.line.push({ id: name, ttl, ticket: asked, shared, link });
            lock.line.sort((a, b) => a.ticket - b.ticket);
        }
        this._handOff(key, lock);
        return this._busy(lock, { sentAt, ticket: asked });
    }

    release({ buried, holder, id, key, keptUntil = 0 }: ReleaseRequest): ReleaseAnswer {
        const lock = this.lock(key);
        if (lock.buried.has(buried ?? id ?? '')) return 'gone';
        if (buried !== undefined) this._leave(lock, buried, true);
        return this._free(key, lock, (value) => holds(value, holder), keptUntil);
    }

    giveUp({ id, key, underWay }: GiveUpRequest): ReleaseAnswer {
        const lock = this.lock(key);
        const isChosen = id.replace(/#\d+:$/, ':').includes('#');
        if (acquisitionOf(id) === id) this._leave(lock, id, underWay);
        return this._free(key, lock, (value) => {
            const attempt = attemptOf(value);
            return attempt === id || (acquisitionOf(attempt) === id && !isChosen);
        });
    }

    renew(key: string, holder: string, ttl: number, sentAt: number): RenewAnswer {
        const lock = this.lock(key);
        const sharer = [...lock.sharers.values()].find(({ value }) => holds(value, holder));
        if (sharer === undefined && !holds(lock.value, holder)) return { kind: 'gone' };
        const ends = this.clock.now() + ttl;
        if (sharer !== undefined) sharer.ends = Math.max(sharer.ends, ends);
        lock.expires = Math.max(lock.expires, ends);
        return { kind: 'renewed', deadline: deadlineOf(sentAt, ttl) };
    }

    downgrade(key: string, holder: string, ttl: number, sentAt: number): RenewAnswer {
        const lock = this.lock(key);
        const { value } = lock;
        if (value !== undefined && holds(value, holder)) {
            lock.value = undefined;
            this._give(lock, value, Math.max(ttl, lock.expires - this.clock.now()), true);
            this._handOff(key, lock);
        }
        return this.renew(key, holder, ttl, sentAt);
    }

    raise(key: string, attempt: string, fence: number): boolean {
        const lock = this.lock(key);
        const sharer = [...lock.sharers.values()].find(({ value }) => attemptOf(value) === attempt);
        if (sharer !== undefined) sharer.value = attempt + String(fence);
        else if (attemptOf(lock.value) === attempt) lock.value = attempt + String(fence);
        else return false;
        this.clockValue = Math.max(this.clockValue, fence);
        return true;
    }

    handOn(key: string): void {
        this._handOff(key, this.lock(key));
    }

    inspect(key: string): LockInfo {
        const { expires, line, sharers, value } = this.lock(key);
        const isShared = value === SHARED;
        const alone = value === undefined ? [] : [{ value, ends: expires }];
        const holders = (isShared ? [...sharers.values()] : alone).map(({ ends, value: holder }) => {
            const fence = readHolder(holder)?.fence;
            return { holder, remaining: ends - this.clock.now(), fence, held: undefined, permits: 1 };
        });
        return {
            key,
            ...holding(holders, isShared ? 'shared' : 'exclusive'),
            waiters: line.map(({ id, shared, ticket }) =>
                waiterOf(nameOf(id), (this.time - ticket) / 1000, shared ? READER : undefined),
            ),
        };
    }

    private _draw(hint: number): number {
        const least = hint <= this.time + 1_000_000 ? hint : 0;
        this.clockValue = Math.max(this.clockValue + 1, this.time, least);
        return this.clockValue;
    }

    private _give(lock: Lock, value: string, ttl: number, shared: boolean): void {
        const ends = this.clock.now() + ttl;
        if (shared) {
            if (lock.value !== SHARED) lock.sharers.clear();
            lock.sharers.set(acquisitionOf(attemptOf(value)), { value, ends });
        }
        lock.expires = shared && lock.value === SHARED ? Math.max(lock.expires, ends) : ends;
        lock.value = shared ? SHARED : value;
    }

    /** Gives the key to those in front of the line that fit. */
    private _handOff(key: string, lock: Lock): void {
        for (let [first] = lock.line; first !== undefined && fits(lock, first.shared); [first] = lock.line) {
            const { id, link, shared, ttl } = first;
            lock.line.shift();
            const fence = this._draw(0);
            const window = Math.min(ttl, CLAIM_WINDOW);
            this._give(lock, id + String(fence), window, shared);
            link.hear((listener) => listener.granted(key, id, fence, window));
            const [next] = lock.line;
            next?.link.hear((listener) => listener.first(key, next.id, window));
        }
    }

    private _free(
        key: string,
        lock: Lock,
        isTheirs: (value: string | undefined) => boolean,
        keptUntil = 0,
    ): ReleaseAnswer {
        const isKept = keptUntil > this.clock.now();
        const sharers = [...lock.sharers.values()].filter(({ value }) => isTheirs(value));
        const isAlone = lock.value !== undefined && lock.value !== SHARED && isTheirs(lock.value);
        if (isKept) for (const sharer of sharers) sharer.ends = keptUntil;
        else this._sweep(lock, (one) => sharers.includes(one));
        if (isAlone && isKept) lock.expires = keptUntil;
        else if (isAlone) lock.value = undefined;
        this._handOff(key, lock);
        return isAlone || sharers.length > 0 ? 'released' : 'gone';
    }

    private _sweep(lock: Lock, isOver: (sharer: Sharer) => boolean): void {
        for (const [name, sharer] of lock.sharers) if (isOver(sharer)) lock.sharers.delete(name);
        if (lock.value !== SHARED) return;
        if (lock.sharers.size === 0) lock.value = undefined;
        else lock.expires = Math.max(...[...lock.sharers.values()].map(({ ends }) => ends));
    }

    private _leave(lock: Lock, id: string, underWay: boolean): void {
        lock.line = lock.line.filter((one) => one.id !== id);
        if (underWay) lock.buried.add(id);
    }

    private _granted(id: string, fence: number, sentAt: number, ttl: number): AcquireAnswer {
        return {
            kind: 'granted',
            holder: id + String(fence),
            fence,
            deadline: deadlineOf(sentAt, ttl),
            confirmed: true,
        };
    }

    private _busy(lock: Lock, { sentAt, ticket }: Pick<Busy, 'sentAt' | 'ticket'>): Busy {
        const holder = lock.value ?? '';
        return {
            kind: 'busy',
            sentAt,
            remaining: lock.expires - this.clock.now(),
            fence: this.clockValue,
            ticket,
            rank: lock.line.filter((one) => one.ticket < ticket).length,
            foreign: holder !== SHARED && readHolder(holder) === undefined,
            holder,
        };
    }
}

interface Sent {
    readonly run: () => void;
    readonly fail: (error: LockError) => void;
}

/** What one process has of a node: its connection. Commands arrive in the order in which they were sent. */
export class MemoryLink implements QuorumNode {
    readonly wakes = true;
    isReady = true;
    isClosed = false;
    /** How long a command and its answer take, each, ms; 0: no time at all. */
    delay = 0;
    /** Commands do not arrive: the node is frozen, or the network. */
    isHeld = false;
    /** What `open` does. */
    opening: () => Promise<void> = () => Promise.resolve();
    listener: NodeListener | undefined;
    /** How many commands were sent, and answered in time. */
    sent = 0;
    private _waiting: Sent[] = [];
    /** Arrived late, by a connection that was lost. */
    private _strays: Sent[] = [];

    constructor(readonly node: MemoryNode) {}

    async open(listener: NodeListener): Promise<void> {
        this.listener = listener;
        await this.opening();
    }

    close(): Promise<void> {
        this.isClosed = true;
        this.isReady = false;
        return Promise.resolve();
    }

    acquire(request: ReservingRequest, callback: Callback<AcquireAnswer>): void {
        const sentAt = this.node.clock.now();
        this._send(() => this.node.acquire(request, sentAt, this), callback);
    }

    release(request: ReleaseRequest, callback: Callback<ReleaseAnswer>): void {
        this._send(() => this.node.release(request), callback);
    }

    giveUp(request: GiveUpRequest): Promise<ReleaseAnswer> {
        return promised((callback) => this._send(() => this.node.giveUp(request), callback));
    }

    renew(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const sentAt = this.node.clock.now();
        return promised((callback) => this._send(() => this.node.renew(key, holder, ttl, sentAt), callback));
    }

    downgrade(key: string, holder: string, ttl: number): Promise<RenewAnswer> {
        const sentAt = this.node.clock.now();
        return promised((callback) => this._send(() => this.node.downgrade(key, holder, ttl, sentAt), callback));
    }

    raise(key: string, attempt: string, fence: number): Promise<boolean> {
        return promised((callback) => this._send(() => this.node.raise(key, attempt, fence), callback));
    }

    async handOn(key: string): Promise<void> {
        await promised<boolean>((callback) =>
            this._send(() => {
                this.node.handOn(key);
                return true;
            }, callback),
        );
    }

    inspect(key: string): Promise<LockInfo> {
        return promised((callback) => this._send(() => this.node.inspect(key), callback));
    }

    async *list(): AsyncIterable<LockInfo> {
        for (const key of await promised<string[]>((callback) => this._send(() => this.node.keys, callback))) {
            yield this.node.inspect(key);
        }
    }

    watch(): Promise<boolean> {
        return Promise.resolve(true);
    }

    /** A message of the node. */
    hear(tell: (listener: NodeListener) => void): void {
        if (!this.isReady) return;
        this.node.clock.timer(this.delay, () => {
            if (this.listener !== undefined) tell(this.listener);
        });
    }

    /** What was held arrives; the last first, as where an earlier command takes a second step. */
    resume(order: 'in order' | 'reversed' = 'in order'): void {
        this.isHeld = false;
        const waiting = this._waiting.splice(0);
        for (const { run } of order === 'reversed' ? waiting.toReversed() : waiting) run();
    }

    /** The connection is lost: what was sent has no answer, and may still arrive. */
    cut(): void {
        this.isReady = false;
        const lost = this._waiting.splice(0);
        this._strays.push(...lost);
        const error = new LockError('CONNECTION_FAILED', 'The connection was lost.', { unknown: true });
        for (const { fail } of lost) fail(error);
        this.listener?.disconnected(error);
    }

    /** There is another connection. */
    reconnect(): void {
        this.isHeld = false;
        this.isReady = true;
        this.listener?.reconnected();
        this.listener?.recovered('It works again.');
    }

    /** What was sent by the lost connection arrives, or the first of it. */
    deliverStrays(count = this._strays.length): void {
        for (const { run } of this._strays.splice(0, count)) run();
    }

    private _send<Answer>(step: () => Answer, callback: Callback<Answer>): void {
        this.sent += 1;
        if (this.isClosed) {
            callback(new LockError('CLOSED', 'The lock was closed.'));
            return;
        }
        let isOpen = true;
        const answer = (given: Answer | LockError): void => {
            if (isOpen) callback(given);
            isOpen = false;
        };
        const run = (): void => {
            const given = this._run(step);
            this._later(() => answer(given));
        };
        this._later(() => {
            if (this.isHeld) this._waiting.push({ run, fail: answer });
            else run();
        });
    }

    private _run<Answer>(step: () => Answer): Answer | LockError {
        const { refusal } = this.node;
        if (refusal !== undefined) return new LockError(refusal, `Refused: ${refusal}.`);
        try {
            return step();
        } catch (error) {
            if (error instanceof LockError) return error;
            throw error;
        }
    }

    private _later(action: () => void): void {
        if (this.delay > 0) this.node.clock.timer(this.delay, action);
        else if (this.isHeld) action();
        else queueMicrotask(action);
    }
}

/** Whether one more may have the key. */
function fits({ value }: Lock, shared: boolean): boolean {
    return value === undefined || (shared && value === SHARED);
}

function attemptOf(value: string | undefined): string {
    return /^.*:/.exec(value ?? '')?.[0] ?? '';
}

function acquisitionOf(id: string): string {
    return id.replace(/#\d+:$/, ':');
}

function numberOf(attempt: string): number {
    return Number(/#(\d+):$/.exec(attempt)?.[1] ?? 0);
}

function holds(value: string | undefined, holder: string): boolean {
    if (value === undefined) return false;
    return value === holder || value.startsWith(`${holder}#`) || (/#\d+:$/.test(holder) && value.startsWith(holder));
}
