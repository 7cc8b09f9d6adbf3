import type { ConfigException } from 'pip-services4-commons-node';
import type { ConfigParams } from 'pip-services4-components-node';
import { badOption, checkConfig } from './options';
import { didYouMean, nearest } from './suggestion';

/** Every name below `options`; a test compares them with what is read. */
export const OPTIONS: readonly string[] = [
    'ttl',
    'retry_timeout',
    'retries',
    'keep_alive',
    'keep_alive_thread',
    'max_block',
    'warn_held_after',
    'reentrant',
    'wait',
    'yield_after',
    'local_grants',
    'key_prefix',
    'db_num',
    'connect_timeout',
    'command_timeout',
    'max_held',
    'max_waiting',
    'topology',
    'sentinel_name',
    'acks',
    'acks_timeout',
    'node_timeout',
    'drift_factor',
    'tls.ca',
    'tls.cert',
    'tls.key',
    'tls.servername',
    'tls.reject_unauthorized',
];
const CONNECTION = ['uri', 'host', 'port', 'path', 'protocol', 'discovery_key'];
const CREDENTIAL = ['username', 'password', 'store_key'];
/** What the toolkit reads, too, for host, username and password. */
const SYNONYMS = ['connection.ip', 'credential.user', 'credential.pass'];

/** The sections of a component; `connections`, `credentials` and `sentinel_credentials` have several of one. */
const SECTIONS: ReadonlyMap<string, readonly string[]> = new Map([
    ['options', OPTIONS],
    ['connection', CONNECTION],
    ['credential', CREDENTIAL],
    ['sentinel_credential', CREDENTIAL],
]);
const SEVERAL = ['connections', 'credentials', 'sentinel_credentials'];

/** The names that may stand in the wrong section, in full. */
const ELSEWHERE = ['options', 'connection', 'credential'].flatMap((section) =>
    (SECTIONS.get(section) ?? []).filter((name) => !name.includes('.')).map((name) => `${section}.${name}`),
);
/** What others call our options. */
const ALIASES: ReadonlyMap<string, string> = new Map([
    ['db', 'options.db_num'],
    ['database', 'options.db_num'],
]);

/**
 * Refuses names that nobody reads. Below `options` all names are ours. Elsewhere the toolkit and discovery may have names of
 * their own: there only those are refused that look like one of ours.
 *
 * @throws ConfigException BAD_OPTION
 */
export function checkNames(config: ConfigParams): void {
    checkConfig(config);
    for (const name of config.getKeys()) {
        const given = config.getAsNullableString(name);
        const [first = '', ...rest] = name.split('.');
        const several = SEVERAL.includes(first);
        const section = several ? first.slice(0, -1) : first;
        const below = (several ? rest.slice(1) : rest).join('.');
        const names = SECTIONS.get(section);
        if (names === undefined) checkTop(name, given);
        else if (below !== '') checkBelow(name, given, section, below);
        // A section that is empty is none; one entry of several that is empty would be a server at localhost.
        else if (given || rest.length > 0) throw noSection(name, names);
    }
}

/**
 * Refuses settings that ask for TLS in a way that is not ours: the connection would be in plain text.
 *
 * @param connection configured or discovered.
 * @throws ConfigException BAD_OPTION
 */
export function checkNoOtherTls(connection: ConfigParams): void {
    for (const name of connection.getKeys()) {
        if (asksForTls(name, connection.getAsNullableString(name))) throw otherTls(`connection.${name}`);
    }
}

function checkTop(name: string, given: string | null): void {
    if (asksForTls(name, given)) throw otherTls(name);
    const [first = '', ...rest] = name.split('.');
    const [section] = nearest(first, [...SECTIONS.keys(), ...SEVERAL]);
    if (section !== undefined) throw unknown(name, [[section, ...rest].join('.')]);
    const meant = rest.length > 0 ? [] : nearest(name, ELSEWHERE.map(leafOf));
    if (meant.length > 0) throw unknown(name, meant.flatMap(elsewhere));
}

function checkBelow(name: string, given: string | null, section: string, below: string): void {
    const names = SECTIONS.get(section) ?? [];
    const isOurs = section === 'options';
    if (names.includes(below) || SYNONYMS.includes(`${section.replace('sentinel_', '')}.${below}`)) return;
    if (name === 'options.tls') throw noSection(name, ['ca']);
    if (!name.startsWith('options.tls.') && asksForTls(below, given)) throw otherTls(name);
    const near = [...nearest(below, names), ...(isOurs ? names.filter((one) => hasWord(one, below)) : [])];
    const meant = [...new Set([...near.map((one) => `${section}.${one}`), ...elsewhere(below)])];
    if (meant.length > 0) throw unknown(name, meant.slice(0, 3));
    if (isOurs) throw badOption(name, `is unknown. The options are ${OPTIONS.join(', ')}.`);
}

/** As `key_prefix` has `prefix`. */
function hasWord(known: string, word: string): boolean {
    return known.split(/[_.]/).includes(word);
}

/** Where this name would be right. */
function elsewhere(name: string): string[] {
    const alias = ALIASES.get(name.toLowerCase());
    return alias === undefined ? ELSEWHERE.filter((one) => leafOf(one) === name) : [alias];
}

function leafOf(name: string): string {
    return name.slice(name.indexOf('.') + 1);
}

function asksForTls(name: string, given: string | null): boolean {
    const [first = ''] = name.split('.');
    return /tls|ssl|^secure$|encrypt/i.test(first) && !/^(false|no|off|0|disabled?)?$/i.test(given ?? '');
}

function otherTls(name: string): ConfigException {
    return badOption(
        name,
        'does not turn TLS on. Use connection.protocol: rediss, a rediss:// uri, or options.tls.ca.',
    );
}

function unknown(name: string, meant: readonly string[]): ConfigException {
    return badOption(name, `is unknown.${didYouMean(meant)}`);
}

/** Never repeats what was given: it may be a uri with a password. */
function noSection(name: string, [first = '']: readonly string[]): ConfigException {
    return badOption(name, `must be a section, with names such as ${name}.${first}, and not a value.`);
}
