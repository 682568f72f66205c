"""Encodings that Kafka's readers accept although its writers make none, one row an encoding: message, version, bytes, and
what `rejoin decode` says is odd about them as (rule, offset, field). test_codec_odd.py holds ours against it,
test_codec_odd_java.py has Kafka's own classes read the same bytes."""

HEARTBEAT = "HeartbeatRequest"  # v4: group g, generation 7, member m, no instance
API_VERSIONS = "ApiVersionsResponse"  # v3: no error, no API, throttle 0, then tagged fields
CONSUMER_HEARTBEAT = "ConsumerGroupHeartbeatResponse"

ROWS = [
    (HEARTBEAT, 4, "820067 00000007 026d 00 00", [("enc-varint-long", 0, "groupId")]),
    (HEARTBEAT, 4, "8280808000 67 00000007 026d 00 00", [("enc-varint-long", 0, "groupId")]),
    (HEARTBEAT, 4, "8280808070 67 00000007 026d 00 00", [("enc-varint-wide", 0, "groupId")]),
    (HEARTBEAT, 3, "000167 00000007 00016d fffe", [("enc-negative-length", 10, "groupInstanceId")]),
    (HEARTBEAT, 4, "0267 00000007 026d ffffffff0f 00", [("enc-negative-length", 8, "groupInstanceId")]),
    ("MetadataRequest", 1, "fffffff9", [("enc-negative-length", 0, "topics")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 01 0900", [("enc-tag-unknown", 10, "taggedFields[0]")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 02 0900 0500",
     [("enc-tag-unknown", 10, "taggedFields[0]"), ("enc-tag-unknown", 12, "taggedFields[1]"),
      ("enc-tag-order", 12, "taggedFields[1]")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 02 0900 090161",
     [("enc-tag-unknown", 10, "taggedFields[0]"), ("enc-tag-unknown", 12, "taggedFields[1]"),
      ("enc-tag-repeated", 12, "taggedFields[1]")]),
    (API_VERSIONS, 3, "0000 01 00000000 02 0108 0000000000000005 0108 0000000000000006",
     [("enc-tag-repeated", 18, "taggedFields[1]")]),
    (API_VERSIONS, 3, "0000 01 00000000 02 0108 0000000000000005 000101", [("enc-tag-order", 18, "taggedFields[1]")]),
    (API_VERSIONS, 3, "0000 01 00000000 01 0103 0000000000000005", [("enc-tag-size", 8, "taggedFields[0]")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 ffffffff0f", [("enc-tag-count", 9, "taggedFields")]),
    ("MetadataRequest", 4, "ffffffff 02", [("enc-bool", 4, "allowAutoTopicCreation")]),
    (CONSUMER_HEARTBEAT, 0, "00000000 0000 00 00 00000001 00000002 05 01 00 00", [("enc-present", 16, "assignment")]),
    (CONSUMER_HEARTBEAT, 0, "00000000 0000 00 00 00000001 00000002 80 00", [("enc-present", 16, "assignment")]),
    (HEARTBEAT, 4, "02ff 00000007 026d 00 00", [("enc-utf8", 0, "groupId")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 00 0000", [("enc-trailing", 10, "")]),
    ("ApiVersionsRequest", 0, "0102", [("enc-trailing", 0, "")]),
    (HEARTBEAT, 4, "0267 00000007 026d 00 00", []),
]
