import { ConfigException } from 'pip-services4-commons-node';
import type { ConfigParams } from 'pip-services4-components-node';
import { didYouMean, nearest } from './suggestion';

/** A wrong setting: says which, what is wrong, what is right. */
export function badOption(name: string, what: string): ConfigException {
    const error = new ConfigException('', 'BAD_OPTION', `Option ${name} ${what}`);
    error.withDetails('option', name);
    return error;
}

/** Refuses a plain object, which has none of the methods that are called. @throws ConfigException BAD_OPTION */
export function checkConfig(config: ConfigParams): void {
    if (typeof (config as Partial<ConfigParams> | undefined)?.getAsNullableString === 'function') return;
    throw badOption('config', 'must be ConfigParams: ConfigParams.fromValue({ connection: { host: … } }) makes them.');
}

/** A whole number. The toolkit's own conversion takes "30s" for 30 and "abc" for the default. */
export function integer(
    config: ConfigParams,
    name: string,
    least: number,
    most: number,
    standard: number,
    called = name,
): number {
    return optionalInteger(config, name, least, most, called) ?? standard;
}

export function optionalInteger(
    config: ConfigParams,
    name: string,
    least: number,
    most: number,
    called = name,
): number | undefined {
    const text = config.getAsNullableString(name);
    if (text === null || text === undefined) return undefined;
    const value = /^\d{1,15}$/.test(text.trim()) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw badOption(called, `must be a whole number from ${least} to ${most}, not "${text}".`);
}

/** A number that need not be whole. */
export function fraction(config: ConfigParams, name: string, most: number, standard: number): number {
    const text = config.getAsNullableString(name);
    if (text === null || text === undefined) return standard;
    const value = /^\d*\.?\d+$/.test(text.trim()) ? Number(text) : NaN;
    if (value >= 0 && value <= most) return value;
    throw badOption(name, `must be a number from 0 to ${most}, not "${text}".`);
}

export function boolean(config: ConfigParams, name: string, standard: boolean): boolean {
    const text = config.getAsNullableString(name);
    if (text === null || text === undefined) return standard;
    if (/^(true|1|yes)$/i.test(text)) return true;
    if (/^(false|0|no)$/i.test(text)) return false;
    throw badOption(name, `must be true or false, not "${text}".`);
}

export function oneOf<T extends string>(config: ConfigParams, name: string, values: readonly T[], standard: T): T {
    return optionalOneOf(config, name, values) ?? standard;
}

export function optionalOneOf<T extends string>(
    config: ConfigParams,
    name: string,
    values: readonly T[],
    called = name,
): T | undefined {
    const text = config.getAsNullableString(name);
    if (text === null || text === undefined) return undefined;
    const value = values.find((one) => one === text);
    if (value !== undefined) return value;
    throw badOption(called, `must be one of ${values.join(', ')}, not "${text}".${didYouMean(nearest(text, values))}`);
}
