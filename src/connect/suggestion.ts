/** The known names that a misspelt one may stand for, the nearest first; at most three. */
export function nearest(given: string, known: readonly string[]): string[] {
    const from = letters(given);
    if (from === '') return [];
    return known
        .map((one) => ({ one, name: letters(one), far: distance(from, letters(one)) }))
        .filter(({ far, name }) => far <= tolerance(name) || isLonger(from, name))
        .sort((a, b) => a.far - b.far)
        .slice(0, 3)
        .map(({ one }) => one);
}

/** The end of an error message; empty when nothing is near. */
export function didYouMean(names: readonly string[]): string {
    const last = names.at(-1);
    if (last === undefined) return '';
    return ` Did you mean ${names.length === 1 ? last : `${names.slice(0, -1).join(', ')} or ${last}`}?`;
}

/** `retryTimeout`, `retry-timeout` and `RETRY_TIMEOUT` are one name. */
function letters(name: string): string {
    return name.toLowerCase().replace(/[^a-z0-9]/g, '');
}

/** How many slips are one name still: one in four letters, and one in a short name. */
function tolerance(name: string): number {
    return Math.max(1, Math.floor(name.length / 4));
}

/** One begins with the other, as `hostname` does with `host`. */
function isLonger(given: string, name: string): boolean {
    return given.length > 1 && name.length > 2 && (given.startsWith(name) || name.startsWith(given));
}

/** How many letters must be added, dropped, changed or swapped with their neighbour (Damerau and Levenshtein). */
function distance(from: string, to: string): number {
    let before: number[] = [];
    let last = Array.from({ length: to.length + 1 }, (_, at) => at);
    for (let row = 1; row <= from.length; row++) {
        const next = [row];
        for (let at = 1; at <= to.length; at++) {
            const same = from[row - 1] === to[at - 1];
            const swapped = from[row - 1] === to[at - 2] && from[row - 2] === to[at - 1];
            next[at] = Math.min(
                cell(last, at) + 1,
                cell(next, at - 1) + 1,
                cell(last, at - 1) + (same ? 0 : 1),
                swapped && row > 1 && at > 1 ? cell(before, at - 2) + 1 : Infinity,
            );
        }
        [before, last] = [last, next];
    }
    return cell(last, to.length);
}

function cell(row: readonly number[], at: number): number {
    return row[at] ?? Infinity;
}
