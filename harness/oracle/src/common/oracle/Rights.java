package oracle;

import java.util.*;
import java.util.concurrent.CompletionStage;
import org.apache.kafka.common.Endpoint;
import org.apache.kafka.common.acl.*;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.server.authorizer.*;

/** An authorizer that allows everything but what it was told to deny. */
final class Rights implements Authorizer {
    /** A null type, operation or name means any. */
    record Rule(ResourceType type, AclOperation operation, String name) {
        boolean denies(Action action) {
            return (type == null || type == action.resourcePattern().resourceType())
                && (operation == null || operation == AclOperation.ALL || operation == action.operation())
                && (name == null || name.equals(action.resourcePattern().name()));
        }
    }

    private List<Rule> rules = List.of();

    void deny(List<Rule> denied) { rules = denied; }

    @Override public List<AuthorizationResult> authorize(AuthorizableRequestContext context, List<Action> actions) {
        return actions.stream().map(action -> rules.stream().anyMatch(rule -> rule.denies(action))
            ? AuthorizationResult.DENIED : AuthorizationResult.ALLOWED).toList();
    }
    @Override public Map<Endpoint, ? extends CompletionStage<Void>> start(AuthorizerServerInfo info) { return Map.of(); }
    @Override public List<? extends CompletionStage<AclCreateResult>> createAcls(AuthorizableRequestContext context, List<AclBinding> acls) {
        throw new UnsupportedOperationException();
    }
    @Override public List<? extends CompletionStage<AclDeleteResult>> deleteAcls(AuthorizableRequestContext context, List<AclBindingFilter> filters) {
        throw new UnsupportedOperationException();
    }
    @Override public Iterable<AclBinding> acls(AclBindingFilter filter) { return List.of(); }
    @Override public void configure(Map<String, ?> configs) { }
    @Override public void close() { }
}
