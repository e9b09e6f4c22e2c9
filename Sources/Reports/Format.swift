import Foundation

/// How numbers are written for people: the same everywhere, whatever the locale.
public enum Format {
  /// A count of bytes with a binary unit: "1.4 MiB".
  public static func bytes(_ count: Int) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"]
    var value = Double(count)
    var unit = 0
    // What would be rounded to 1024 is one of the next unit.
    while abs(value) >= (unit == 0 ? 1024 : 1023.95), unit < units.count - 1 {
      value /= 1024
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\(fixed(value, value < 10 ? 2 : 1)) \(units[unit])"
  }

  /// A number with a fixed count of decimals.
  public static func fixed(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : (value > 0 ? "inf" : "-inf") }
    return String(format: "%.\(decimals)f", value)
  }

  /// A number with a fixed count of significant digits, in scientific notation when tiny.
  public static func significant(_ value: Double, _ digits: Int = 4) -> String {
    guard value.isFinite else { return fixed(value, 0) }
    return String(format: "%.\(digits)g", value)
  }

  /// A length of time: "0.4 s", "12 s", "3 min 05 s", "2 h 10 min".
  public static func duration(_ seconds: Double) -> String {
    // A million years and more is a rate of nothing, not a length of time.
    guard seconds.isFinite, seconds >= 0, seconds < 3e13 else { return "unknown" }
    if seconds < 9.95 { return "\(fixed(seconds, 1)) s" }
    let whole = Int(seconds.rounded())
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min \(padded(whole % 60)) s" }
    return "\(whole / 3600) h \(padded(whole % 3600 / 60)) min"
  }

  /// A count with thousands separated by commas.
  public static func count(_ value: Int) -> String {
    let digits = String(value.magnitude)
    var result = ""
    for (offset, digit) in digits.enumerated() {
      if offset > 0, (digits.count - offset) % 3 == 0 { result.append(",") }
      result.append(digit)
    }
    return value < 0 ? "-" + result : result
  }

  private static func padded(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
