/** Whether a text fits a pattern: `*` stands for any characters, `?` for one, and a `\` before one for that one itself. */
export function globOf(pattern: string): (text: string) => boolean {
    const source = pattern.replace(/\\?[^]/gu, (part) => {
        if (part === '*') return '[^]*';
        if (part === '?') return '[^]';
        const literal = part.length > 1 && part.startsWith('\\') ? part.slice(1) : part;
        return literal.replace(/[\\^$.*+?()[\]{}|/]/, '\\$&');
    });
    const regex = new RegExp(`^${source}$`, 'u');
    return (text) => regex.test(text);
}
