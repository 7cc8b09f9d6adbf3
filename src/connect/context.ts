import type { IContext } from 'pip-services4-components-node';

/** What callers give as the context: v4 containers an object, v3 containers the trace id itself, others nothing. */
export type LockContext = IContext | string | null | undefined;

/** The trace id of a call chain, if its context has one; the toolkit's own resolver throws for a string. */
export function traceIdOf(context: LockContext): string | undefined {
    if (typeof context === 'string') return context === '' ? undefined : context;
    if (typeof context?.get !== 'function') return undefined;
    let traceId: unknown;
    try {
        traceId = context.get('trace_id') ?? context.get('traceId');
    } catch {
        // What a caller is called makes no difference to its locks.
        return undefined;
    }
    if (typeof traceId === 'number') return String(traceId);
    return typeof traceId === 'string' && traceId !== '' ? traceId : undefined;
}

/** The toolkit's classes ask for a context that is not null. */
export function asContext(context: LockContext): IContext {
    if (typeof context === 'object' && context !== null) return context;
    return { get: (key: string) => (key === 'trace_id' && context ? context : undefined) };
}

/** The toolkit's exceptions take null, but their types do not say so. */
export function traceIdOrNone(context: LockContext): string {
    return traceIdOf(context) ?? '';
}
