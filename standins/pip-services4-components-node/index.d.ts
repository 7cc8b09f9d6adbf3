import { Parameters, References as References3 } from 'pip-services3-commons-nodex';
import { ConfigParams } from 'pip-services3-commons-nodex';
import { InternalException } from 'pip-services4-commons-node';

export {
    ConfigParams,
    DependencyResolver,
    Descriptor,
    IConfigurable,
    IReconfigurable,
    IParameterized,
    IReferenceable,
    IReferences,
    IUnreferenceable,
    NameResolver,
    OptionResolver,
    Parameters,
    Reference,
    Referencer,
} from 'pip-services3-commons-nodex';
export {
    CompositeFactory,
    ContextInfo,
    DefaultInfoFactory as DefaultContextFactory,
    Factory,
    IFactory,
} from 'pip-services3-components-nodex';

export interface IContext {
    get(key: string): any;
}

export declare class Context implements IContext {
    constructor(values?: any);
    get(key: string): any;
    static fromValue(value: any): Context;
    static fromTuples(...tuples: any[]): Context;
    static fromConfig(config: ConfigParams): Context;
    static fromTraceId(traceId: string): Context;
}

export declare class ContextResolver {
    static getTraceId(context: IContext): string;
    static getClient(context: IContext): string;
    static getUser(context: IContext): string;
}

export declare class References extends References3 {
    static fromTuples(...tuples: any[]): References;
}

export declare class ReferenceException extends InternalException {
    constructor(context: IContext, locator: any);
}

export declare class CreateException extends InternalException {
    constructor(traceId: string, messageOrLocator: any);
}

export interface IExecutable {
    execute(context: IContext, args: Parameters): Promise<any>;
}

export interface INotifiable {
    notify(context: IContext, args: Parameters): void;
}

export interface IClosable {
    close(context: IContext): Promise<void>;
}

export interface IOpenable extends IClosable {
    isOpen(): boolean;
    open(context: IContext): Promise<void>;
}

export declare class Opener {
    static isOpenOne(component: any): boolean;
    static isOpen(components: any[]): boolean;
    static openOne(context: IContext, component: any): Promise<void>;
    static open(context: IContext, components: any[]): Promise<void>;
}

export declare class Closer {
    static closeOne(context: IContext, component: any): Promise<void>;
    static close(context: IContext, components: any[]): Promise<void>;
}
