import { ConnectionParams, CredentialParams } from 'pip-services3-components-nodex';
import { ConfigParams, Factory, IConfigurable, IContext, INotifiable } from 'pip-services4-components-node';
import { IReconfigurable, IReferenceable, IReferences } from 'pip-services4-components-node';

export { ConnectionParams, ConnectionUtils, CredentialParams } from 'pip-services3-components-nodex';

// auth

export interface ICredentialStore {
    store(context: IContext, key: string, credential: CredentialParams): Promise<void>;
    lookup(context: IContext, key: string): Promise<CredentialParams>;
}

export declare class MemoryCredentialStore implements ICredentialStore, IReconfigurable {
    constructor(config?: ConfigParams);
    configure(config: ConfigParams): void;
    readCredentials(config: ConfigParams): void;
    store(context: IContext, key: string, credential: CredentialParams): Promise<void>;
    lookup(context: IContext, key: string): Promise<CredentialParams>;
}

export declare class CredentialResolver {
    constructor(config?: ConfigParams, references?: IReferences);
    configure(config: ConfigParams): void;
    setReferences(references: IReferences): void;
    getAll(): CredentialParams[];
    add(credential: CredentialParams): void;
    lookup(context: IContext): Promise<CredentialParams>;
}

// build

export declare class DefaultConfigFactory extends Factory {}

// config

export interface IConfigReader {
    readConfig(context: IContext, parameters: ConfigParams): Promise<ConfigParams>;
    addChangeListener(listener: INotifiable): void;
    removeChangeListener(listener: INotifiable): void;
}

export declare abstract class ConfigReader implements IConfigReader, IConfigurable {
    configure(config: ConfigParams): void;
    abstract readConfig(context: IContext, parameters: ConfigParams): Promise<ConfigParams>;
    protected parameterize(config: string, parameters: ConfigParams): string;
    addChangeListener(listener: INotifiable): void;
    removeChangeListener(listener: INotifiable): void;
}

export declare abstract class FileConfigReader extends ConfigReader {
    constructor(path?: string);
    getPath(): string;
    setPath(path: string): void;
}

export declare class JsonConfigReader extends FileConfigReader {
    readObject(context: IContext, parameters: ConfigParams): any;
    readConfig(context: IContext, parameters: ConfigParams): Promise<ConfigParams>;
    static readObject(context: IContext, path: string, parameters: ConfigParams): any;
    static readConfig(context: IContext, path: string, parameters: ConfigParams): ConfigParams;
}

export declare class YamlConfigReader extends FileConfigReader {
    readObject(context: IContext, parameters: ConfigParams): any;
    readConfig(context: IContext, parameters: ConfigParams): Promise<ConfigParams>;
    static readObject(context: IContext, path: string, parameters: ConfigParams): any;
    static readConfig(context: IContext, path: string, parameters: ConfigParams): ConfigParams;
}

export declare class MemoryConfigReader implements IConfigReader, IReconfigurable {
    constructor(config?: ConfigParams);
    configure(config: ConfigParams): void;
    readConfig(context: IContext, parameters: ConfigParams): Promise<ConfigParams>;
    addChangeListener(listener: INotifiable): void;
    removeChangeListener(listener: INotifiable): void;
}

// connect

export interface IDiscovery {
    register(context: IContext, key: string, connection: ConnectionParams): Promise<ConnectionParams>;
    resolveOne(context: IContext, key: string): Promise<ConnectionParams>;
    resolveAll(context: IContext, key: string): Promise<ConnectionParams[]>;
}

export declare class MemoryDiscovery implements IDiscovery, IReconfigurable {
    constructor(config?: ConfigParams);
    configure(config: ConfigParams): void;
    readConnections(config: ConfigParams): void;
    register(context: IContext, key: string, connection: ConnectionParams): Promise<ConnectionParams>;
    resolveOne(context: IContext, key: string): Promise<ConnectionParams>;
    resolveAll(context: IContext, key: string): Promise<ConnectionParams[]>;
}

export declare class ConnectionResolver {
    constructor(config?: ConfigParams, references?: IReferences);
    configure(config: ConfigParams): void;
    setReferences(references: IReferences): void;
    getAll(): ConnectionParams[];
    add(connection: ConnectionParams): void;
    resolve(context: IContext): Promise<ConnectionParams>;
    resolveAll(context: IContext): Promise<ConnectionParams[]>;
    register(context: IContext, connection: ConnectionParams): Promise<void>;
}

export declare class CompositeConnectionResolver implements IReferenceable, IConfigurable {
    protected _options: ConfigParams;
    protected _connectionResolver: ConnectionResolver;
    protected _credentialResolver: CredentialResolver;
    protected _clusterSupported: boolean;
    protected _defaultProtocol: string;
    protected _defaultPort: number;
    protected _supportedProtocols: string[];
    configure(config: ConfigParams): void;
    setReferences(references: IReferences): void;
    resolve(context: IContext): Promise<ConfigParams>;
    compose(
        context: IContext,
        connections: ConnectionParams[],
        credential: CredentialParams,
        parameters: ConfigParams,
    ): ConfigParams;
    protected validateConnection(context: IContext, connection: ConnectionParams): void;
    protected validateCredential(context: IContext, credential: CredentialParams): void;
    protected composeOptions(
        connections: ConnectionParams[],
        credential: CredentialParams,
        parameters: ConfigParams,
    ): ConfigParams;
    protected mergeConnection(options: ConfigParams, connection: ConnectionParams): ConfigParams;
    protected mergeCredential(options: ConfigParams, credential: CredentialParams): ConfigParams;
    protected mergeOptional(options: ConfigParams, parameters: ConfigParams): ConfigParams;
    protected finalizeOptions(options: ConfigParams): ConfigParams;
}
