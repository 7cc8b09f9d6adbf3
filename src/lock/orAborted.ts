import { checkSignal } from '../engine/port/checks';
import { LockError, asError } from '../engine/port/errors';
import { AbortSignals } from '../engine/waiting/AbortSignals';

/** Very many callers with one signal may wait for an opening. */
const SIGNALS = new AbortSignals<(signal: AbortSignal) => void>((abort, signal) => abort(signal));

/**
 * What an opening gives, unless the signal of its caller aborts first.
 *
 * @throws LOCK_ABORTED, BAD_PARAMETER
 */
export function orAborted<T>(opening: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (signal === undefined) return opening;
    // Where nobody waits for it any more, it may fail all the same.
    opening.catch(() => undefined);
    return new Promise((resolve, reject) => {
        checkSignal(signal, '');
        const abort = ({ reason: cause }: AbortSignal): void => {
            reject(new LockError('LOCK_ABORTED', 'Waiting for the lock to be opened was aborted.', { cause }));
        };
        const settle = (end: () => void): void => {
            SIGNALS.delete(signal, abort);
            end();
        };
        SIGNALS.add(signal, abort);
        if (signal.aborted) abort(signal);
        opening.then(
            (result) => settle(() => resolve(result)),
            (error: unknown) => settle(() => reject(asError(error))),
        );
    });
}
