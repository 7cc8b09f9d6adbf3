const RELAYED = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const;

/** Hands on the signals that this process gets, until it is stopped. */
export class SignalRelay {
    private readonly _listeners = RELAYED.map((signal) => [signal, () => this.receiver(signal)] as const);

    /** @param receiver may be replaced at any time. */
    constructor(public receiver: (signal: NodeJS.Signals) => void) {
        for (const [signal, listener] of this._listeners) process.on(signal, listener);
        // A stopped process could not renew its lock.
        process.on('SIGTSTP', ignore);
    }

    stop(): void {
        for (const [signal, listener] of this._listeners) process.off(signal, listener);
        process.off('SIGTSTP', ignore);
    }
}

function ignore(): void {
    // Nothing.
}
