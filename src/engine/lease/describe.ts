import type { Lease } from './Lease';

/** The method by which `util.inspect`, and so `console.log`, shows an object. */
export const INSPECT = Symbol.for('nodejs.util.inspect.custom');

/** A lease in one line. */
export function describe(lease: Lease): string {
    const { fence, holder, keys } = lease;
    const left = lease.isHeld() ? `held for ${Math.round(lease.remaining())} ms more` : 'not held';
    return `Lease { ${keys.map((key) => JSON.stringify(key)).join(', ')}, holder ${holder}, fence ${fence}, ${left} }`;
}
