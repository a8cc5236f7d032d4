//! Certificates of an authority and of nodes, as text. Knows no files and no clock.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};
use time::{Duration, OffsetDateTime};

use crate::Refused;
use crate::key::Key;

/// A certificate and its key, both as text (PEM).
pub struct Pair {
    /// The certificate.
    pub cert: String,
    /// The key.
    pub key: String,
}

/// How a certificate is made.
#[derive(Debug, Clone, Copy)]
pub struct Measure {
    /// The size of the RSA key, in bits.
    pub bits: usize,
    /// How long it is valid.
    pub validity: Duration,
    /// From when.
    pub now: OffsetDateTime,
}

/// The certificate of an authority called `name`, signed by itself.
pub fn authority(name: &str, measure: Measure) -> Result<Pair, Refused> {
    let key = Key::generated(measure.bits)?;
    let mut params = params(name, measure)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
    let cert = params.self_signed(&key).map_err(refused)?;
    Ok(Pair { cert: cert.pem(), key: key.pem()? })
}

/// The certificate of a node called `name` that is known by `names` (host names and addresses),
/// signed by `authority`.
pub fn node(name: &str, names: &[String], measure: Measure, authority: &Pair) -> Result<Pair, Refused> {
    let issuer = Issuer::from_ca_cert_pem(&authority.cert, Key::read(&authority.key)?).map_err(refused)?;
    let key = Key::generated(measure.bits)?;
    let mut params = params(name, measure)?;
    for name in names {
        params.subject_alt_names.push(match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into().map_err(refused)?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment];
    params.use_authority_key_identifier_extension = true;
    let cert = params.signed_by(&key, &issuer).map_err(refused)?;
    Ok(Pair { cert: cert.pem(), key: key.pem()? })
}

fn params(name: &str, measure: Measure) -> Result<CertificateParams, Refused> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CountryName, "US");
    subject.push(DnType::OrganizationName, "archetype");
    subject.push(DnType::CommonName, name);
    params.distinguished_name = subject;
    params.not_before = measure.now;
    params.not_after = measure.now.checked_add(measure.validity).ok_or(Refused::Validity)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn refused(error: rcgen::Error) -> Refused {
    Refused::Certificate(error.to_string())
}
