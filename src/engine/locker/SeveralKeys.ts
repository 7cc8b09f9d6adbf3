import { HeldLease } from '../lease/HeldLease';
import { asError } from '../port/errors';
import { chosenHolder, newId } from '../port/holder';
import type { Clock } from '../time/Clock';
import { AbortSignals } from '../waiting/AbortSignals';
import type { Acquisitions, Beginning, BusyKey } from './Acquisitions';
import type { LeaseCall } from './LeaseOptions';

/**
 * Acquires several keys, all or nothing. First it asks for all of them at once: mostly they are free. From the first that is not it goes
 * on one by one, in sorted order, so that two callers cannot block each other. The keys that it has are kept alive while it waits for
 * the others. They are given back when one of the others cannot be had, or when one of them is lost.
 */
export class SeveralKeys {
    /** Those under way that have their first key. */
    private readonly _partial = new Set<Promise<void>>();
    private readonly _signals = new AbortSignals<AbortController>((waiting, { reason }) => waiting.abort(reason));

    constructor(
        private readonly _acquisitions: Acquisitions,
        private readonly _clock: Clock,
    ) {}

    acquire(call: LeaseCall, done: (outcome: HeldLease | BusyKey | Error) => void): void {
        const { request, rest, keepAlive } = call;
        const { timeout } = request;
        const beginning = { at: this._clock.now(), timeout };
        // What an owner gives back in the background must not meet what it asks for next.
        if (chosenHolder(request.id) !== undefined) {
            this._inOrder(call, beginning, done);
            return;
        }
        const all = [request, ...rest.map((key) => ({ ...request, key, id: newId() }))];
        this._acquisitions.tryAll(all, beginning.at, ({ lease, refused }) => {
            if (lease !== undefined && refused === undefined) {
                if (!keepAlive) lease.keeper.keep(false);
                done(lease);
            } else if (refused !== undefined && this._left(beginning) === 0) {
                const refuse = (): void => this._acquisitions.refuse(refused, beginning, done);
                if (lease === undefined) refuse();
                else void lease.release().then(refuse, refuse);
            } else if (lease === undefined) this._inOrder(call, beginning, done);
            else this._goOn({ ...call, rest: rest.slice(lease.leased.length - 1) }, beginning, lease, done);
        });
    }

    /** Settles when none is under way any more that has a key. */
    async idle(): Promise<void> {
        if (this._partial.size > 0) await Promise.all(this._partial);
    }

    private _inOrder(
        call: LeaseCall,
        beginning: Beginning,
        done: (outcome: HeldLease | BusyKey | Error) => void,
    ): void {
        // What was tried before may have been given up.
        const id = newId(chosenHolder(call.request.id));
        const request = { ...call.request, id, timeout: this._left(beginning), whole: beginning.timeout };
        this._acquisitions.begin(request, true, (first) => {
            if (first instanceof HeldLease) this._goOn(call, beginning, first, done);
            else done(first);
        });
    }

    /** Of the timeout, ms. */
    private _left({ at, timeout }: Beginning): number {
        return timeout === 0 ? 0 : Math.max(at + timeout - this._clock.now(), 0);
    }

    private _goOn(
        call: LeaseCall,
        beginning: Beginning,
        lease: HeldLease,
        done: (outcome: HeldLease | BusyKey | Error) => void,
    ): void {
        const whole = this._complete(call, beginning, lease).then(done, (error: unknown) => done(asError(error)));
        this._partial.add(whole);
        void whole.finally(() => this._partial.delete(whole));
    }

    /** @returns the lease, or the key that was busy: then what was acquired has been given back. */
    private async _complete(
        { request, rest, keepAlive }: LeaseCall,
        beginning: Beginning,
        lease: HeldLease,
    ): Promise<HeldLease | BusyKey> {
        const waiting = new AbortController();
        const onEnd = (): void => waiting.abort(lease.signal.reason);
        try {
            this._listen(request.signal, waiting);
            // When a key is lost, there is nothing to wait for.
            lease.signal.addEventListener('abort', onEnd);
            for (const key of rest) {
                const next = await this._acquisitions.extend(
                    lease,
                    {
                        ...request,
                        key,
                        id: newId(chosenHolder(request.id)),
                        timeout: this._left(beginning),
                        whole: beginning.timeout,
                        signal: waiting.signal,
                    },
                    beginning,
                );
                if (next instanceof HeldLease) continue;
                await lease.release().catch(() => false);
                return next;
            }
            // Also the first key is to last for the ttl from now.
            await lease.renew();
            if (!keepAlive) lease.keeper.keep(false);
            return lease;
        } catch (error) {
            await lease.release().catch(() => false);
            throw lease.signal.aborted ? lease.signal.reason : error;
        } finally {
            lease.signal.removeEventListener('abort', onEnd);
            if (request.signal !== undefined) this._signals.delete(request.signal, waiting);
        }
    }

    /** Has `waiting` aborted with the signal of the caller. That one may outlive us, so it is not to keep anything of this. */
    private _listen(signal: AbortSignal | undefined, waiting: AbortController): void {
        if (signal?.aborted === true) waiting.abort(signal.reason);
        else if (signal !== undefined) this._signals.add(signal, waiting);
    }
}
