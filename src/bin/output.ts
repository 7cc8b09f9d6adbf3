import { jsonOf, printable, redacted } from './text';

/** What is asked for, on standard output. Keys and holders may be anything: a terminal takes no command from them. */
export function print(lines: readonly string[]): void {
    for (const line of lines) process.stdout.write(`${printable(line)}\n`);
}

export function printJson(value: unknown): void {
    process.stdout.write(`${jsonOf(value)}\n`);
}

/** What the user should know besides, on standard error. */
export function say(text: string): void {
    process.stderr.write(`redis-lock: ${printable(redacted(text))}\n`);
}
