//! The QR code of a link, as SVG and as PNG.

use fast_qr::{
    ECL, QRCode,
    convert::{Builder, svg::SvgBuilder},
    qr::QRBuilder,
};

use crate::http::error::Error;

/// The quiet zone around a code, modules: the standard asks for 4.
const MARGIN: usize = 4;
/// The width of a module in the PNG, pixels: a code of 69 modules is 616 pixels wide, sharp on paper too.
const SCALE: usize = 8;

/// A QR code.
pub(crate) struct Code(QRCode);

impl Code {
    /// The code of a text. Medium correction: 15 % of it may be dirty or torn.
    pub(crate) fn new(text: &str) -> Result<Self, Error> {
        let code = QRBuilder::new(text)
            .ecl(ECL::M)
            .build()
            .map_err(|error| Error::internal(format!("a link does not fit into a QR code: {error:?}")))?;
        Ok(Self(code))
    }

    /// As an SVG document.
    pub(crate) fn svg(&self) -> String {
        SvgBuilder::default().margin(MARGIN).to_str(&self.0)
    }

    /// As a PNG file with one bit for each pixel.
    pub(crate) fn png(&self) -> Result<Vec<u8>, Error> {
        let width = (self.0.size + 2 * MARGIN) * SCALE;
        let line_bytes = width.div_ceil(8);
        let mut pixels = vec![0xff_u8; line_bytes * width];
        for (y, line) in pixels.chunks_mut(line_bytes).enumerate() {
            for x in (0..width).filter(|x| self.is_dark(x / SCALE, y / SCALE)) {
                line[x / 8] &= !(0x80 >> (x % 8));
            }
        }
        let side = u32::try_from(width).map_err(Error::internal)?;
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        encoder
            .write_header()
            .and_then(|mut writer| writer.write_image_data(&pixels))
            .map_err(Error::internal)?;
        Ok(file)
    }

    /// Whether a module is dark, counted with the quiet zone.
    fn is_dark(&self, x: usize, y: usize) -> bool {
        let within = MARGIN..MARGIN + self.0.size;
        within.contains(&x) && within.contains(&y) && self.0[y - MARGIN][x - MARGIN].value()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_finds_the_text_in_the_png() {
        let text = "huizhen://team/join?team_id=7&team_name=%E5%84%BF%E7%A7%91&inviter_id=3&signature=00ff";
        let file = Code::new(text).unwrap().png().unwrap();
        let mut decoder = png::Decoder::new(std::io::Cursor::new(&file));
        decoder.set_transformations(png::Transformations::EXPAND);
        let mut reader = decoder.read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let (width, height) = (info.width as usize, info.height as usize);
        let mut image =
            rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
        let grids = image.detect_grids();
        assert_eq!(grids.len(), 1);
        assert_eq!(grids[0].decode().unwrap().1, text);
    }

    #[test]
    fn the_svg_is_a_picture_without_anything_from_elsewhere() {
        let svg = Code::new("huizhen://team/join").unwrap().svg();
        assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
        assert!(!svg.contains("<image") && !svg.contains("<script"));
    }
}
