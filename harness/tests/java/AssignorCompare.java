// Reads assignment problems and rejoin's answers, asks Kafka's own assignor the same, and compares the two.
// Run by test_assign_java with the kafka-clients jar on the class path. Prints each difference and, at the end, one line
// of counts. Exit 0: no difference; 1: some; 2: the input was not understood.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Assignment;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.GroupSubscription;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.Subscription;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.RangeAssignor;
import org.apache.kafka.clients.consumer.RoundRobinAssignor;
import org.apache.kafka.clients.consumer.StickyAssignor;
import org.apache.kafka.common.Cluster;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

public class AssignorCompare {
    static final class Problem {
        String number, assignor;
        final List<String> text = new ArrayList<>();
        final List<PartitionInfo> partitions = new ArrayList<>();
        final Map<String, Subscription> subscriptions = new HashMap<>();
        final Map<String, TreeSet<String>> ours = new TreeMap<>();
        Map<String, TreeSet<String>> asJava = new TreeMap<>(); // null: Java throws
    }

    static int differences, explained, equal;

    public static void main(String[] arguments) throws Exception {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        Problem problem = null;
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            String[] words = line.split(" ");
            if (problem != null)
                problem.text.add(line);
            switch (words[0]) {
                case "case":
                    problem = new Problem();
                    problem.number = words[1];
                    problem.assignor = words[2];
                    break;
                case "topic": readTopic(problem, words); break;
                case "member": readMember(problem, words); break;
                case "ours": problem.ours.put(words[1], partitionNames(words[2])); break;
                case "as-java":
                    if (words[1].equals("throws"))
                        problem.asJava = null;
                    else
                        problem.asJava.put(words[1], partitionNames(words[2]));
                    break;
                case "end": compare(problem); break;
                default: System.out.println("not understood: " + line); System.exit(2);
            }
        }
        System.out.println("equal " + equal + ", different " + differences + ", different as Java may give a partition back"
            + " to an owner that does not subscribe any more " + explained);
        System.exit(differences == 0 ? 0 : 1);
    }

    // topic NAME r1,r2;r3;-  (the racks of each partition's replicas; "?" a broker without a rack)
    static void readTopic(Problem problem, String[] words) {
        if (words[2].equals("none"))
            return;
        int number = 0, node = 0;
        for (String racks : words[2].split(";")) {
            List<Node> replicas = new ArrayList<>();
            if (!racks.equals("-"))
                for (String rack : racks.split(","))
                    replicas.add(new Node(node++, "h", 1, rack.equals("?") ? null : rack));
            Node[] nodes = replicas.toArray(new Node[0]);
            problem.partitions.add(new PartitionInfo(words[1], number++, Node.noNode(), nodes, nodes));
        }
    }

    // member ID INSTANCE RACK GENERATION TOPICS OWNED USERDATA ("-": none)
    static void readMember(Problem problem, String[] words) {
        List<TopicPartition> owned = new ArrayList<>();
        if (!words[6].equals("-"))
            for (String name : words[6].split(",")) {
                int dash = name.lastIndexOf('/');
                owned.add(new TopicPartition(name.substring(0, dash), Integer.parseInt(name.substring(dash + 1))));
            }
        ByteBuffer userData = null;
        if (!words[7].equals("-")) {
            userData = ByteBuffer.allocate(words[7].length() / 2);
            for (int i = 0; i < words[7].length() - 1; i += 2)
                userData.put((byte) Integer.parseInt(words[7].substring(i, i + 2), 16));
            userData.flip();
        }
        Optional<String> rack = words[3].equals("-") ? Optional.empty() : Optional.of(words[3]);
        Subscription subscription = new Subscription(new ArrayList<>(Arrays.asList(words[5].split(","))), userData, owned,
            Integer.parseInt(words[4]), rack);
        if (!words[2].equals("-"))
            subscription.setGroupInstanceId(Optional.of(words[2]));
        problem.subscriptions.put(words[1], subscription);
    }

    static TreeSet<String> partitionNames(String list) {
        return list.equals("-") ? new TreeSet<>() : new TreeSet<>(Arrays.asList(list.split(",")));
    }

    static ConsumerPartitionAssignor assignor(String name) {
        switch (name) {
            case "range": return new RangeAssignor();
            case "roundrobin": return new RoundRobinAssignor();
            case "sticky": return new StickyAssignor();
            default: return new CooperativeStickyAssignor();
        }
    }

    // The sticky assignors prefer a partition's previous owner without looking whether it still subscribes to the topic, and
    // throw where it takes no part in the balancing. rejoin looks; without that look it must agree.
    static void compare(Problem problem) {
        Map<String, TreeSet<String>> java = assign(problem);
        if (problem.ours.equals(java))
            equal++;
        else if (java == null ? problem.asJava == null : java.equals(problem.asJava))
            explained++;
        else if (++differences <= 10) {
            System.out.println("case " + problem.number + " " + problem.assignor);
            problem.text.forEach(System.out::println);
            System.out.println("Kafka " + java);
            System.out.println("ours  " + problem.ours);
        }
    }

    // Partition names by member; null: the assignor threw.
    static Map<String, TreeSet<String>> assign(Problem problem) {
        Cluster cluster = new Cluster("c", new ArrayList<>(), problem.partitions, new HashSet<>(), new HashSet<>());
        Map<String, TreeSet<String>> result = new TreeMap<>();
        try {
            Map<String, Assignment> assignments = assignor(problem.assignor)
                .assign(cluster, new GroupSubscription(problem.subscriptions)).groupAssignment();
            for (Map.Entry<String, Assignment> entry : assignments.entrySet()) {
                TreeSet<String> names = new TreeSet<>();
                for (TopicPartition partition : entry.getValue().partitions())
                    names.add(partition.topic() + "/" + partition.partition());
                result.put(entry.getKey(), names);
            }
            return result;
        } catch (RuntimeException e) {
            return null;
        }
    }
}
