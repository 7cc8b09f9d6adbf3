interface Listener<T> {
    readonly waiting: Set<T>;
    readonly listen: () => void;
}

/** Listens to each AbortSignal once, for all that wait with it: more than ten listeners of one make Node.js print a warning. */
export class AbortSignals<T> {
    private readonly _listeners = new WeakMap<AbortSignal, Listener<T>>();

    /** @param _aborted called for each that waits with a signal, when that aborts. */
    constructor(private readonly _aborted: (one: T, signal: AbortSignal) => void) {}

    add(signal: AbortSignal, one: T): void {
        const present = this._listeners.get(signal);
        if (present !== undefined) {
            present.waiting.add(one);
            return;
        }
        const waiting = new Set([one]);
        const listen = (): void => {
            for (const each of [...waiting]) this._aborted(each, signal);
        };
        signal.addEventListener('abort', listen);
        this._listeners.set(signal, { waiting, listen });
    }

    delete(signal: AbortSignal, one: T): void {
        const listener = this._listeners.get(signal);
        listener?.waiting.delete(one);
        if (listener?.waiting.size !== 0) return;
        signal.removeEventListener('abort', listener.listen);
        this._listeners.delete(signal);
    }
}
