import { Script, isList, isNumber } from './Script';

export interface InspectReply {
    /** Empty: the key is free. */
    readonly holder: string;
    /** ms; -1: the key never expires; -2: it is free. */
    readonly remaining: number;
    /** Time of the server, µs. */
    readonly now: number;
    readonly waiters: readonly { readonly id: string; /** ms */ readonly waited: number }[];
}

export const inspectScript = new Script<InspectReply>('inspect', false, (answer) => {
    if (!isList(answer)) return undefined;
    const [holder, remaining, now, line] = answer;
    if (typeof holder !== 'string' || !isNumber(remaining) || !isNumber(now) || !isList(line)) return undefined;
    return { holder, remaining, now, waiters: pairs(line) };
});

function pairs(list: readonly unknown[]): { id: string; waited: number }[] {
    return list.flatMap((id, at) => (at % 2 === 0 ? [{ id: String(id), waited: Number(list[at + 1]) }] : []));
}
