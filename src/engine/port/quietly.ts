/**
 * Calls somebody who is only told something. What it throws is dropped, and so is what a promise of it rejects with.
 *
 * @returns what it returns; undefined when it throws.
 */
export function quietly<T>(call: () => T): T | undefined {
    try {
        const result = call();
        if (isThenable(result)) Promise.resolve(result).catch(() => undefined);
        return result;
    } catch {
        return undefined;
    }
}

function isThenable(result: unknown): boolean {
    return typeof result === 'object' && result !== null && 'then' in result && typeof result.then === 'function';
}
