import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Writes numbered records, four a second, from the given number on, until SIGTERM.
 * Arguments: bootstrap servers, topic, first number.
 */
public final class NumberedProducer {
    public static void main(String[] args) throws Exception {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("client.id", "producer");
        settings.put("key.serializer", StringSerializer.class.getName());
        settings.put("value.serializer", StringSerializer.class.getName());
        Thread main = Thread.currentThread();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            main.interrupt();
            try {
                main.join(5000);
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }));
        long number = Long.parseLong(args[2]);
        KafkaProducer<String, String> producer = new KafkaProducer<>(settings);
        try {
            while (true) {
                String text = Long.toString(number++);
                producer.send(new ProducerRecord<>(args[1], text, text)).get();
                Thread.sleep(250);
            }
        } catch (InterruptedException | org.apache.kafka.common.errors.InterruptException e) {
            Thread.interrupted();
            producer.close();
            System.out.println(number);
        }
    }
}
