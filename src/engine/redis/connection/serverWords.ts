import type { LockErrorCode } from '../../port/errors';

/** Why a server refuses: the words that begin its answers, and names of ours for answers that are only sentences. */
export type ServerWord = keyof typeof CODES;

/** The code of our error for each of them. */
const CODES = {
    WRONGTYPE: 'WRONG_TYPE',
    WRONGPASS: 'WRONG_PASSWORD',
    NOAUTH: 'WRONG_PASSWORD',
    NOPASSWORD: 'WRONG_PASSWORD',
    NOPERM: 'NO_PERMISSION',
    // Temporary: the server will work again without our help.
    READONLY: 'SERVER_REFUSED',
    LOADING: 'SERVER_REFUSED',
    BUSY: 'SERVER_REFUSED',
    OOM: 'SERVER_REFUSED',
    MISCONF: 'SERVER_REFUSED',
    NOREPLICAS: 'SERVER_REFUSED',
    MASTERDOWN: 'SERVER_REFUSED',
    CLUSTERDOWN: 'SERVER_REFUSED',
    TRYAGAIN: 'SERVER_REFUSED',
    DENIED: 'SERVER_REFUSED',
    MAXCLIENTS: 'SERVER_REFUSED',
    // The server has no database of that number.
    NODATABASE: 'BAD_OPTION',
    // No retry at this server helps. Another server has to be asked, or none can do it.
    MOVED: 'NOT_SUPPORTED',
    ASK: 'NOT_SUPPORTED',
    CROSSSLOT: 'NOT_SUPPORTED',
    NONLOCAL: 'NOT_SUPPORTED',
    UNKNOWN: 'NOT_SUPPORTED',
} as const satisfies Record<string, LockErrorCode>;

/** Answers without such a word, of servers of several versions and of proxies. */
const SENTENCES: readonly (readonly [said: RegExp, word: ServerWord])[] = [
    [/^ERR (Client sent AUTH|AUTH .* without any password)/i, 'NOPASSWORD'],
    [/^ERR (invalid password|AUTH|wrong number of arguments for 'auth')/i, 'WRONGPASS'],
    [/^ERR (DB index is out of range|invalid DB index|SELECT is not allowed in cluster)/i, 'NODATABASE'],
    [/no permissions to (run|access)|can't (run this command|access at least one)/i, 'NOPERM'],
    [/^ERR max number of clients/i, 'MAXCLIENTS'],
    [/^ERR WAIT cannot be used with replica/i, 'READONLY'],
    [/access(ed)? a non local key/i, 'NONLOCAL'],
    [/unknown (redis )?(sub)?command|unsupported command/i, 'UNKNOWN'],
    [/^ERR (syntax error|wrong number of arguments|.*\bnot (supported|allowed|available|implemented)\b)/i, 'UNKNOWN'],
    [/^ERR This instance has cluster support disabled/i, 'UNKNOWN'],
    // An error of a script itself.
    [/^(ERR )?user_script:\d+: /, 'UNKNOWN'],
];

/**
 * What a server said, without what its version puts around the errors of scripts. 6.2 puts two positions and a dash before
 * them, later versions the script's hash behind them.
 */
export function bareText(text: string): string {
    return text
        .replace(/^ERR Error running script \(call to [^)]*\): /, '')
        .replace(/^(@\w+: ?\d+: )+/, '')
        .replace(/^-/, '')
        .replace(/^ERR ACL failure in script: /, 'NOPERM ')
        .replace(/ script: \w+, on @?\w+: ?\d+\.?\s*$/, '')
        .trim();
}

/** The word of an answer. Undefined: none that is known. */
export function wordOf(text: string): ServerWord | undefined {
    const bare = bareText(text);
    const first = /^[A-Z]+\b/.exec(bare)?.[0];
    if (first !== undefined && isWord(first)) return first;
    return SENTENCES.find(([said]) => said.test(bare))?.[1];
}

/** An unknown word counts as temporary: proxies have many words for a server that is away. */
export function codeOf(word: ServerWord | undefined): LockErrorCode {
    return word === undefined ? 'SERVER_REFUSED' : CODES[word];
}

function isWord(text: string): text is ServerWord {
    return Object.hasOwn(CODES, text);
}
