//! Keys: RSA ones made here, and those of an authority from elsewhere. Knows no files.

use rcgen::{KeyPair, PKCS_RSA_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rsa::RsaPrivateKey;
use rsa::pkcs1::{DecodeRsaPrivateKey, EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs1v15;
use rsa::pkcs8::{DecodePrivateKey, LineEnding};
use rsa::sha2::Sha256;
use rsa::signature::{SignatureEncoding, Signer};

use crate::Refused;

/// A private key that can sign.
pub enum Key {
    /// An RSA key of any size, and its public part as certificates have it.
    Rsa {
        /// The key.
        private: Box<RsaPrivateKey>,
        /// The public part (PKCS#1, DER).
        public: Vec<u8>,
    },
    /// A key of another sort: elliptic curves.
    Other(Box<KeyPair>),
}

impl Key {
    /// A new RSA key of `bits`.
    pub fn generated(bits: usize) -> Result<Self, Refused> {
        RsaPrivateKey::new(&mut rsa::rand_core::OsRng, bits)
            .map_err(|error| Refused::Key(error.to_string()))
            .and_then(Self::of_rsa)
    }

    /// A key that somebody else made: PEM, as PKCS#1 or PKCS#8.
    pub fn read(pem: &str) -> Result<Self, Refused> {
        let rsa = RsaPrivateKey::from_pkcs1_pem(pem).ok().or_else(|| RsaPrivateKey::from_pkcs8_pem(pem).ok());
        match rsa {
            Some(key) => Self::of_rsa(key),
            None => {
                let pair = KeyPair::from_pem(pem).map_err(|error| Refused::Key(error.to_string()))?;
                Ok(Self::Other(Box::new(pair)))
            }
        }
    }

    fn of_rsa(key: RsaPrivateKey) -> Result<Self, Refused> {
        let public = key.to_public_key().to_pkcs1_der().map_err(|error| Refused::Key(error.to_string()))?;
        Ok(Self::Rsa { private: Box::new(key), public: public.into_vec() })
    }

    /// The key as text (PEM).
    pub fn pem(&self) -> Result<String, Refused> {
        match self {
            Self::Rsa { private, .. } => {
                let pem = private.to_pkcs1_pem(LineEnding::LF).map_err(|error| Refused::Key(error.to_string()))?;
                Ok(pem.as_str().to_owned())
            }
            Self::Other(pair) => Ok(pair.serialize_pem()),
        }
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        match self {
            Self::Rsa { public, .. } => public,
            Self::Other(pair) => pair.der_bytes(),
        }
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        match self {
            Self::Rsa { .. } => &PKCS_RSA_SHA256,
            Self::Other(pair) => pair.algorithm(),
        }
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        match self {
            Self::Rsa { private, .. } => {
                let key = pkcs1v15::SigningKey::<Sha256>::new(private.as_ref().clone());
                key.try_sign(message).map(|signature| signature.to_vec()).map_err(|_| rcgen::Error::RemoteKeyError)
            }
            Self::Other(pair) => pair.sign(message),
        }
    }
}
