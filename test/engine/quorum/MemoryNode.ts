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
import { holding, promised } from '../../../src/engine/port/LockStore';
import { CLAIM_WINDOW } from '../../../src/engine/port/protocol';
import type { NodeListener, ReservingRequest } from '../../../src/engine/port/ReservingRequest';
import { deadlineOf } from '../../../src/engine/port/validity';
import type { QuorumNode } from '../../../src/engine/quorum/QuorumNode';
import type { VirtualClock } from '../../fixtures/VirtualClock';

interface Waiter {
    readonly id: string;
    readonly ttl: number;
    readonly ticket: number;
    readonly link: MemoryLink;
}

/** One lock on a node. */
class Lock {
    value: string | undefined;
    expires = 0;
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
        this._give(this.lock(key), value, ttl);
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
        if (lock.value !== undefined && lock.expires <= this.clock.now()) lock.value = undefined;
        return lock;
    }

    acquire(request: ReservingRequest, sentAt: number, link: MemoryLink): AcquireAnswer {
        const { hint = 0, id, key, ticket, ttl } = request;
        const lock = this.lock(key);
        const name = acquisitionOf(id);
        if (lock.buried.has(name)) throw new LockError('LOCK_ABORTED', 'It was given up.', { key });
        const attempt = attemptOf(lock.value);
        if (lock.value !== undefined && acquisitionOf(attempt) === name) {
            if (numberOf(attempt) > numberOf(id)) throw new LockError('LOCK_ABORTED', 'It is an old attempt.', { key });
            const fence = attempt === id ? Number(lock.value.slice(id.length)) : this._draw(hint);
            this._give(lock, id + String(fence), Math.max(ttl, lock.expires - this.clock.now()));
            return this._granted(id, fence, sentAt, ttl);
        }
        const place = lock.line.find((one) => one.id === name);
        const first = lock.line[0];
        if (lock.value === undefined && (first === undefined || first === place)) {
            lock.line = lock.line.filter((one) => one !== place);
            const fence = this._draw(hint);
            this._give(lock, id + String(fence), ttl);
            return this._granted(id, fence, sentAt, ttl);
        }
        const asked = ticket === undefined ? 0 : (place?.ticket ?? (ticket > 0 ? ticket : this._draw(0)));
        if (ticket !== undefined && place === undefined) {
            lock.line.push({ id: name, ttl, ticket: asked, link });
            lock.line.sort((a, b) => a.ticket - b.ticket);
        }
        if (lock.value === undefined) this._handOff(key, lock);
        return this._busy(lock, { sentAt, ticket: asked });
    }

    release({ buried, holder, key }: ReleaseRequest): ReleaseAnswer {
        const lock = this.lock(key);
        const isHeld = holds(lock.value, holder);
        if (buried !== undefined) this._leave(lock, buried, true);
        return this._free(key, lock, isHeld);
    }

    giveUp({ id, key, underWay }: GiveUpRequest): ReleaseAnswer {
        const lock = this.lock(key);
        const attempt = attemptOf(lock.value);
        const isChosen = id.replace(/#\d+:$/, ':').includes('#');
        const isHeld = attempt === id || (acquisitionOf(attempt) === id && !isChosen);
        if (acquisitionOf(id) === id) this._leave(lock, id, underWay);
        return this._free(key, lock, lock.value !== undefined && isHeld);
    }

    renew(key: string, holder: string, ttl: number, sentAt: number): RenewAnswer {
        const lock = this.lock(key);
        if (!holds(lock.value, holder)) return { kind: 'gone' };
        lock.expires = Math.max(lock.expires, this.clock.now() + ttl);
        return { kind: 'renewed', deadline: deadlineOf(sentAt, ttl) };
    }

    raise(key: string, attempt: string, fence: number): boolean {
        const lock = this.lock(key);
        if (attemptOf(lock.value) !== attempt) return false;
        lock.value = attempt + String(fence);
        this.clockValue = Math.max(this.clockValue, fence);
        return true;
    }

    handOn(key: string): void {
        const lock = this.lock(key);
        if (lock.value === undefined) this._handOff(key, lock);
    }

    inspect(key: string): LockInfo {
        const { expires, line, value } = this.lock(key);
        const remaining = expires - this.clock.now();
        const holders =
            value === undefined
                ? []
                : [{ holder: value, remaining, fence: readHolder(value)?.fence, held: undefined, permits: 1 }];
        return {
            key,
            ...holding(holders, 'exclusive'),
            waiters: line.map(({ id, ticket }) => ({ holder: nameOf(id), waited: (this.time - ticket) / 1000 })),
        };
    }

    private _draw(hint: number): number {
        const least = hint <= this.time + 1_000_000 ? hint : 0;
        this.clockValue = Math.max(this.clockValue + 1, this.time, least);
        return this.clockValue;
    }

    private _give(lock: Lock, value: string, ttl: number): void {
        lock.value = value;
        lock.expires = this.clock.now() + ttl;
    }

    private _handOff(key: string, lock: Lock): void {
        const [first] = lock.line;
        lock.value = undefined;
        if (first === undefined) return;
        lock.line.shift();
        const fence = this._draw(0);
        const window = Math.min(first.ttl, CLAIM_WINDOW);
        this._give(lock, first.id + String(fence), window);
        first.link.hear((listener) => listener.granted(key, first.id, fence, window));
        const [next] = lock.line;
        next?.link.hear((listener) => listener.first(key, next.id, window));
    }

    private _free(key: string, lock: Lock, isHeld: boolean): ReleaseAnswer {
        if (isHeld || lock.value === undefined) this._handOff(key, lock);
        return isHeld ? 'released' : 'gone';
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
            foreign: readHolder(holder) === undefined,
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
