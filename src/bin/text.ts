/** Without what a terminal would take for a command. */
export function printable(text: string): string {
    return text.replace(/\p{Cc}/gu, '?');
}

/** Without the credentials of whatever looks like a uri. */
export function redacted(text: string): string {
    return text.replace(/(\w+:\/\/)[^\s/]*@/g, '$1***@');
}

/** A duration for people: its two largest units. */
export function spoken(duration: number): string {
    if (duration === Infinity) return 'ever';
    if (duration < 1000) return `${Math.round(duration)}ms`;
    const seconds = Math.floor(duration / 1000);
    const units = [
        [Math.floor(seconds / 86_400), 'd'],
        [Math.floor(seconds / 3600) % 24, 'h'],
        [Math.floor(seconds / 60) % 60, 'm'],
        [seconds % 60, 's'],
    ] as const;
    const first = units.findIndex(([count]) => count > 0);
    return units
        .slice(first, first + 2)
        .filter(([count]) => count > 0)
        .map(([count, unit]) => `${count}${unit}`)
        .join('');
}

/** Columns as wide as their widest cell. */
export function table(rows: readonly (readonly string[])[]): string[] {
    const widths = rows.reduce<number[]>((so, row) => row.map((cell, at) => Math.max(so[at] ?? 0, cell.length)), []);
    return rows.map((row) =>
        row
            .map((cell, at) => cell.padEnd(widths[at] ?? 0))
            .join('  ')
            .trimEnd(),
    );
}
