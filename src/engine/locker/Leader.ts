import type { Lease } from '../lease/Lease';
import { LockError, asError, codeOf, isTemporary } from '../port/errors';
import type { LockEvent } from '../port/LockObserver';
import type { Clock } from '../time/Clock';
import { retryPause } from '../waiting/wakeUp';

/** A call of lead. */
export interface LeadRequest {
    /** For messages. */
    readonly key: string;
    /** Waits, for as long as it takes, for the lease of the next term. */
    readonly acquire: (signal: AbortSignal) => Promise<Lease>;
    /** Makes what the call rejects with of an error of ours. */
    readonly exceptionOf: (error: LockError) => Error;
}

/** A term that was shorter, ms, is followed by a pause: what ended it may end the next one at once, too. */
const SHORT = 1000;

/** What passes, too: replicas are away; one of several keys was lost while the others were waited for. */
const PASSING = new Set(['NOT_REPLICATED', 'LOCK_LOST']);

/**
 * One call of lead: its terms, one after the other.
 *
 * waiting → leading → waiting, when the lease was lost and the work has settled; over, when the work settles by itself, and when the
 * call is ended.
 */
export class Leader {
    /** Aborts when the call is to end; its reason is what it rejects with. */
    private readonly _end = new AbortController();

    constructor(
        private readonly _request: LeadRequest,
        private readonly _clock: Clock,
        private readonly _tell: (event: LockEvent) => void,
    ) {}

    async lead<T>(work: (lease: Lease) => Promise<T>): Promise<T> {
        for (let short = 0; ;) {
            const lease = await this._acquire();
            const since = this._clock.now();
            const outcome = await this._term(lease, work);
            if (outcome !== undefined) return outcome.result;
            short = this._clock.now() - since < SHORT ? short + 1 : 0;
            if (short > 0) await this._pause(short);
        }
    }

    abort({ reason }: AbortSignal): void {
        this._endWith('LOCK_ABORTED', `Leading ${this._request.key} was aborted.`, reason);
    }

    close(): void {
        this._endWith('CLOSED', `The lock was closed while ${this._request.key} was led or waited for.`);
    }

    private async _acquire(): Promise<Lease> {
        const { signal } = this._end;
        for (let failures = 1; ; failures++) {
            signal.throwIfAborted();
            try {
                return await this._request.acquire(signal);
            } catch (error) {
                signal.throwIfAborted();
                if (!isTemporary(error) && !PASSING.has(codeOf(error))) throw error;
                if (failures === 1) this._warn(`cannot be led for now, which is retried: ${asError(error).message}`);
                await this._pause(failures);
            }
        }
    }

    /** @returns what the work came to by itself; undefined: it was told to end. */
    private async _term<T>(
        lease: Lease,
        work: (lease: Lease) => Promise<T>,
    ): Promise<{ readonly result: T } | undefined> {
        const told = new AbortController();
        const unfollow = follow(told, [lease.signal, this._end.signal]);
        try {
            // It may have been lost since it was granted, if the event loop was blocked.
            if (!lease.isHeld() || told.signal.aborted) return undefined;
            const result = await work(withSignal(lease, told.signal));
            if (isOver(lease, told)) return undefined;
            const wasOurs = await lease.release().catch(() => true);
            if (!wasOurs) this._warn('was taken or deleted before the work ended');
            return { result };
        } catch (error) {
            if (!isOver(lease, told)) throw error;
            if (!isOfEnd(error, told.signal))
                this._warn(`was led no more when the work failed: ${asError(error).message}`);
            return undefined;
        } finally {
            unfollow();
            // Cleanup never replaces the first error; the observer is told, and a release that fails is retried.
            await lease.release().catch(() => false);
        }
    }

    /** After a number of failures in a row. */
    private async _pause(failures: number): Promise<void> {
        const { signal } = this._end;
        if (signal.aborted) return;
        await new Promise<void>((resolve) => {
            const over = (): void => {
                timer.cancel();
                signal.removeEventListener('abort', over);
                resolve();
            };
            const timer = this._clock.timer(retryPause(failures, Math.random()), over);
            signal.addEventListener('abort', over);
        });
    }

    private _endWith(code: 'LOCK_ABORTED' | 'CLOSED', text: string, cause?: unknown): void {
        const { exceptionOf, key } = this._request;
        this._end.abort(exceptionOf(new LockError(code, text, { key, cause })));
    }

    private _warn(text: string): void {
        this._tell({ kind: 'warning', message: `${this._request.key} ${text}` });
    }
}

/** Aborts `told` with the first of these signals. */
function follow(told: AbortController, signals: readonly AbortSignal[]): () => void {
    const listeners = signals.map((signal) => [signal, () => told.abort(signal.reason)] as const);
    for (const [signal, listener] of listeners) {
        signal.addEventListener('abort', listener);
        if (signal.aborted) listener();
    }
    return () => {
        for (const [signal, listener] of listeners) signal.removeEventListener('abort', listener);
    };
}

/** Whether the work has been told to end. */
function isOver(lease: Lease, told: AbortController): boolean {
    // As above: it tells it now.
    lease.isHeld();
    return told.signal.aborted;
}

/** Whether it is what work throws because it was told to end. */
function isOfEnd(error: unknown, { reason }: AbortSignal): boolean {
    const hasCode = codeOf(error) !== '' && codeOf(error) === codeOf(reason);
    return error === reason || hasCode || (error instanceof Error && error.name === 'AbortError');
}

/** The same lease, with another signal. */
function withSignal(lease: Lease, signal: AbortSignal): Lease {
    return new Proxy(lease, {
        get: (target, name) => {
            if (name === 'signal') {
                // A lease that ran out while the event loop was blocked tells it now.
                target.isHeld();
                return signal;
            }
            const value: unknown = Reflect.get(target, name);
            return typeof value === 'function' ? (value as (...all: unknown[]) => unknown).bind(target) : value;
        },
    });
}
