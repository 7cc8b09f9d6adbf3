import { InvalidArgumentError } from 'commander';
import { constants } from 'node:os';
import { didYouMean, nearest } from '../connect/suggestion';
import { LONGEST } from '../engine/time/Clock';
import { spoken } from './text';

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Looking more often costs the server more than it tells anybody. */
const SHORTEST_INTERVAL = 100;

/** A time of the command line, ms. A number alone is refused: some would mean seconds. */
export function duration(text: string): number {
    if (text === '0') return 0;
    const [, number, unit = ''] = /^(\d+(?:\.\d+)?)([a-z]+)$/.exec(text) ?? [];
    const time = Math.round(Number(number) * (UNITS[unit] ?? NaN));
    if (time <= LONGEST) return time;
    const hint = /^\d+$/.test(text) ? ` ${text} of what? Write ${text}s for seconds.` : '';
    const most = time > LONGEST ? ` The longest is ${spoken(LONGEST)}.` : '';
    throw new InvalidArgumentError(`A time is a number with its unit: 500ms, 30s, 5m, 2h or 1d.${hint}${most}`);
}

export function interval(text: string): number {
    const time = duration(text);
    if (time >= SHORTEST_INTERVAL) return time;
    throw new InvalidArgumentError(`It is ${SHORTEST_INTERVAL}ms at least.`);
}

export function count(text: string): number {
    if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
    throw new InvalidArgumentError('It is a whole number from 1 on.');
}

export function signalNamed(text: string): string {
    const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
    if (Object.hasOwn(constants.signals, name)) return name;
    const near = didYouMean(nearest(name, Object.keys(constants.signals)));
    throw new InvalidArgumentError(`It is the name of a signal: TERM, INT, HUP ….${near}`);
}

export function exitCode(text: string): number {
    if (/^\d{1,3}$/.test(text) && Number(text) < 256) return Number(text);
    throw new InvalidArgumentError('An exit code is a number from 0 to 255.');
}
