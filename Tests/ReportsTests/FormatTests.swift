import Testing

@testable import Reports

@Suite struct FormatTests {
  @Test(arguments: [
    (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.00 KiB"), (1536, "1.50 KiB"),
    (10_240, "10.0 KiB"), (1_048_575, "1.00 MiB"), (1 << 20, "1.00 MiB"), (-2048, "-2.00 KiB"),
    (5 << 30, "5.00 GiB"), (3 << 50, "3072.0 TiB"),
  ])
  func bytes(_ count: Int, _ text: String) { #expect(Format.bytes(count) == text) }

  @Test(arguments: [
    (0.0, "0.0 s"), (0.44, "0.4 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.4, "59 s"),
    (59.6, "1 min 00 s"), (185, "3 min 05 s"), (3599.6, "1 h 00 min"), (7800, "2 h 10 min"),
    (-1, "unknown"), (.nan, "unknown"), (.infinity, "unknown"), (1e300, "unknown"),
  ])
  func durations(_ seconds: Double, _ text: String) { #expect(Format.duration(seconds) == text) }

  @Test(arguments: [
    (0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1000, "-1,000"),
    (Int.min, "-9,223,372,036,854,775,808"),
  ])
  func counts(_ value: Int, _ text: String) { #expect(Format.count(value) == text) }

  @Test func numbers() {
    #expect(Format.significant(0.095_412_3) == "0.09541")
    #expect(Format.significant(0.000_001_234, 3) == "1.23e-06")
    #expect(Format.significant(.infinity) == "inf")
    #expect(Format.fixed(.nan, 2) == "nan")
    #expect(Format.fixed(-.infinity, 2) == "-inf")
    #expect(Format.fixed(2.5, 3) == "2.500")
  }
}
